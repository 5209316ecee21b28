"""One customer whose path crosses many touchpoints within one day, minute by minute as planned.

In: the blank person, somebody to invite. Out: their presences and events. Never: a coupon trigger (the order is below
the minimum, since it is paid two hours after it was submitted).
"""

from typing import Any, Final

from bench.traffic.brands import Brand, brand_of
from bench.traffic.ids import Mint, wire
from bench.traffic.outbox import SHORTEST_LAG_MS, Outbox
from bench.traffic.person import Person, Presence
from bench.traffic.presences import presence_at
from bench.traffic.spec import BEIJING_OFFSET_MS, DAY, MINUTE, TrafficSpec

ORDER_ID: Final = "SO2026STORY"
STORY: Final = (
    ("09:43", "official_account", "follow"),
    ("09:45", "miniprogram", "page_view"),
    ("09:57", "miniprogram", "product_view"),
    ("10:23", "miniprogram", "order_submitted"),
    ("12:25", "order", "order_paid"),
    ("23:03", "h5", "share"),
    ("23:34", "h5", "invite_accepted"),
)
"""Time of day in Beijing, touchpoint, event type."""

_SLOTS: Final = {
    "follow": ("oa", "union"),
    "page_view": ("mini", "union"),
    "product_view": ("mini", "union"),
    "order_submitted": ("mini", "union", "phone"),
    "order_paid": ("union", "phone"),
    "share": ("cookie", "union"),
    "invite_accepted": ("cookie", "union"),
}


def plan_story(spec: TrafficSpec, person: Person, mint: Mint) -> None:
    """Gives the blank person ids and one presence per step; no browsing is added to them."""
    brand = brand_of(person.tenant)
    person.slots = {
        "oa": mint.openid(brand.official_appid),
        "mini": mint.openid(brand.mini_appid),
        "union": mint.unionid(),
        "phone": mint.phone(),
        "cookie": mint.cookie(),
    }
    for clock, source, event_type in STORY:
        ids = tuple(person.slots[slot] for slot in _SLOTS[event_type])
        step = presence_at(spec, person, source, ids, opening=event_type, from_ms=_at(spec, clock))
        person.presences.append(step)


def write_story(spec: TrafficSpec, outbox: Outbox, person: Person, guests: list[Presence]) -> None:
    """The steps in order, and the guest's registration shortly before the invitation counts as accepted."""
    brand = brand_of(person.tenant)
    for step in person.presences:
        fields = _fields(spec, brand, step.opening)
        outbox.accept(step, step.opening, step.from_ms, step.from_ms + SHORTEST_LAG_MS, **fields)
    at_ms = person.presences[-1].from_ms - MINUTE
    guest = next((g for g in guests if g.tenant == person.tenant and g.from_ms < at_ms < g.until_ms), None)
    if guest is not None:
        referrer = wire(person.slots["union"])
        outbox.accept(guest, "register", at_ms, at_ms + SHORTEST_LAG_MS, referrer=referrer)


def _fields(spec: TrafficSpec, brand: Brand, event_type: str) -> dict[str, Any]:
    """What a step says beside who and when."""
    item = brand.items[0]
    looked = {"item_id": item.item_id, "category": item.category, "properties": {"title": item.title}}
    amount_fen = max(1, spec.min_amount_fen * 2 // 5)
    ordered = looked | {"order_id": ORDER_ID, "amount_fen": amount_fen}
    fields: dict[str, dict[str, Any]] = {
        "follow": {"channel": "store_qr", "scene": "1011"},
        "page_view": {"scene": "1035", "properties": {"page": "home"}},
        "product_view": looked,
        "order_submitted": ordered,
        "order_paid": ordered,
    }
    return fields.get(event_type, {"campaign": brand.campaigns[2], "properties": {"page": "invite"}})


def _at(spec: TrafficSpec, clock: str) -> int:
    """HH:MM in Beijing, on the day of the start if that is still to come there, else on the next day."""
    midnight_ms = (spec.start_ms + BEIJING_OFFSET_MS) // DAY * DAY - BEIJING_OFFSET_MS
    first = _minutes(STORY[0][0])
    if spec.start_ms > midnight_ms + first * MINUTE:
        midnight_ms += DAY
    return midnight_ms + _minutes(clock) * MINUTE


def _minutes(clock: str) -> int:
    hours, minutes = clock.split(":")
    return int(hours) * 60 + int(minutes)
