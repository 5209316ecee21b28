"""How a person shows up: which ids stand together on the events of which touchpoint, and from when on.

In: a person's ids by slot. Out: their `Presence`s, anonymous ones first, those with a unionid late.
Never: an event, or a presence that buys and cannot be reached.
"""

import random
from dataclasses import dataclass, replace
from typing import Final

from bench.traffic.ids import written_forms
from bench.traffic.person import FOREVER_MS, Person, Presence
from bench.traffic.spec import MINUTE, SECOND, Id, TrafficSpec


@dataclass(frozen=True, slots=True)
class Role:
    """A habit that needs `slots`; it begins at about `stage` (0..1) of the rest of the planned time."""

    source: str
    slots: tuple[str, ...]
    opening: str
    stage: float
    chance: float = 1.0
    buys: bool = False


# Ids appear bit by bit: anonymous first, unionid late, so stages are the order in which a person becomes known.
# What buys has an openid or a phone, or a uid that `register` tied to the phone before.
ROLES: Final = (
    Role("miniprogram", ("mini",), "page_view", 0.0, buys=True),
    Role("ads", ("device",), "ad_click", 0.0, 0.3),
    Role("ads", ("mini",), "ad_click", 0.05, 0.2),
    Role("official_account", ("oa",), "follow", 0.06),
    Role("app", ("device",), "page_view", 0.1),
    Role("h5", ("cookie",), "page_view", 0.15),
    Role("marketplace", ("market",), "page_view", 0.2),
    Role("app", ("uid", "phone"), "register", 0.25, buys=True),
    Role("live", ("mini",), "live_enter", 0.28, 0.4),
    Role("miniprogram", ("mini", "phone"), "login", 0.3, 0.8, buys=True),
    Role("app", ("device", "uid"), "login", 0.31, buys=True),
    Role("wecom", ("external",), "qr_scan", 0.33),
    Role("wecom", ("external", "phone"), "bind_phone", 0.58, 0.5),
    Role("h5", ("cookie", "oa"), "page_view", 0.35, 0.7, buys=True),
    Role("order", ("uid", "phone"), "order_status_viewed", 0.37, 0.5),
    Role("pos", ("phone", "card"), "register", 0.4, buys=True),
    Role("h5", ("cookie", "uid"), "login", 0.45, buys=True),
    Role("pos", ("phone",), "store_visit", 0.48, 0.4, buys=True),
    Role("marketplace", ("market", "phone"), "bind_member", 0.5, 0.6, buys=True),
    Role("app", ("uid", "email"), "email_verified", 0.52),
    Role("sms", ("phone",), "sms_click", 0.55, 0.3),
    Role("miniprogram", ("mini", "union"), "page_view", 0.6, buys=True),
    Role("official_account", ("oa", "union"), "article_read", 0.63),
    Role("wecom", ("external", "union"), "add_contact", 0.66),
    Role("live", ("union",), "live_enter", 0.7, 0.3),
)
_TILL: Final = Role("pos", ("phone",), "store_visit", 0.0, buys=True)
_JITTER: Final = 0.04
_AT_TILL: Final = 0.9
_SCANS_AT_TILL: Final = 0.4


def plan_presences(spec: TrafficSpec, person: Person, rng: random.Random) -> list[Presence]:
    """All presences of one person, in the order of ROLES; one with a phone alone is a till customer."""
    if set(person.slots) == {"phone"}:
        return [_presence(spec, person, _TILL, rng)]
    roles = [role for role in ROLES if all(slot in person.slots for slot in role.slots)]
    usual = [
        _presence(spec, person, role, rng) for role in roles if rng.random() < role.chance or _proves(person, role)
    ]
    return [presence for presence in usual if presence.from_ms < presence.until_ms] + _shared(spec, person)


def _proves(person: Person, role: Role) -> bool:
    """Who gives a phone back has shown whose it was: else nothing at all would speak against the next owner."""
    return role.slots == ("mini", "phone") and person.phone_until_ms < FOREVER_MS


def _shared(spec: TrafficSpec, person: Person) -> list[Presence]:
    """Where their events show a phone that is not theirs: at a till, or one that was given to them."""
    rng = random.Random(f"{spec.seed}/shared/{person.number}")
    found = []
    if person.till is not None:
        slots = ("card", "mini") if "mini" in person.slots and rng.random() < _SCANS_AT_TILL else ("card",)
        ids = tuple(person.slots[slot] for slot in slots)
        from_ms = person.arrives_ms + int((spec.end_ms - person.arrives_ms) * _AT_TILL * rng.random())
        visit = presence_at(spec, person, "pos", ids, opening="store_visit", from_ms=from_ms)
        found.append(_beside(visit, person.till))
    if person.recycled is not None:
        from_ms = max(person.arrives_ms, person.recycled_from_ms) + rng.randrange(30 * MINUTE)
        login = presence_at(spec, person, "miniprogram", (person.slots["mini"],), opening="login", from_ms=from_ms)
        found.append(_beside(login, person.recycled))
    return found


def _beside(presence: Presence, phone: Id) -> Presence:
    """The person shows a phone too that is not theirs."""
    return replace(presence, forms=written_forms((*presence.ids, phone)), beside=(phone,))


def presence_at(
    spec: TrafficSpec, person: Person, source: str, ids: tuple[Id, ...], *, opening: str, from_ms: int
) -> Presence:
    """A presence outside the ROLES, from a given instant on."""
    partition = _partition(spec, person, source)
    forms = written_forms(ids)
    return Presence(person.tenant, person.number, source, ids, forms, opening, from_ms, FOREVER_MS, partition, False)


def _presence(spec: TrafficSpec, person: Person, role: Role, rng: random.Random) -> Presence:
    """One role lived by one person; a resold device bounds its time."""
    ids = tuple(person.slots[slot] for slot in role.slots)
    rest = spec.end_ms - person.arrives_ms
    from_ms = person.arrives_ms + int(rest * (role.stage + _JITTER * rng.random()))
    until_ms = FOREVER_MS
    if "device" in role.slots:
        from_ms = max(from_ms, person.device_from_ms + rng.randrange(10 * SECOND))
        until_ms = person.device_until_ms
    if "phone" in role.slots:
        until_ms = min(until_ms, person.phone_until_ms)
    where = _partition(spec, person, role.source)
    forms = written_forms(ids)
    return Presence(
        person.tenant, person.number, role.source, ids, forms, role.opening, from_ms, until_ms, where, role.buys
    )


def _partition(spec: TrafficSpec, person: Person, source: str) -> int:
    """Producers key by customer, each in its own way."""
    return (person.number + len(source)) % spec.partitions
