"""Who the customers are: every id that each will ever show, planned before anybody does anything.

In: a spec. Out: `Person`s with their ids by slot, their arrival, and whose device they share or bought.
Never: an event, and never an id of another tenant's person except the same human's phone (two brands, one human).
"""

import random
from itertools import pairwise
from typing import Final

from bench.traffic.brands import brand_of
from bench.traffic.ids import Mint
from bench.traffic.person import Person
from bench.traffic.spec import MINUTE, Id, TrafficSpec

# slot -> (chance, slots of which one must be held for it to make sense)
_HABITS: Final[dict[str, tuple[float, tuple[str, ...]]]] = {
    "mini": (0.75, ()),
    "oa": (0.5, ()),
    "union": (0.7, ("mini", "oa")),
    "phone": (0.75, ()),
    "uid": (0.65, ("phone",)),
    "email": (0.2, ("uid",)),
    "external": (0.3, ("union", "phone")),
    "card": (0.3, ("phone",)),
    "market": (0.25, ()),
    "device": (0.4, ()),
    "cookie": (0.35, ()),
}
_TWIN_CHANCE: Final = 0.06
_FAMILY_CHANCE: Final = 0.25
_RESALE_CHANCE: Final = 0.35
_BOTH_BRANDS_CHANCE: Final = 0.05
_TILL_CHANCE: Final = 0.6


def plan_people(spec: TrafficSpec, rng: random.Random, mint: Mint) -> list[Person]:
    """All people, tenant by tenant; the first of the first tenant is left blank for the story."""
    people = [Person(n, tenant, _arrival(spec, rng)) for n, tenant in enumerate(_tenants(spec))]
    for person in people[1:]:
        person.slots = _slots(person, rng, mint)
    for before, person in pairwise(people):
        if before.tenant == person.tenant:
            _entangle(spec, before, person, rng)
    _shop_at_both(people, rng)
    _share_more(spec, people, mint)
    return people


def _tenants(spec: TrafficSpec) -> list[str]:
    """One tenant per person: the first brand is the largest, each has somebody."""
    shares = range(len(spec.tenants), 0, -1)
    sizes = [max(1, spec.people * share // sum(shares)) for share in shares]
    sizes[0] += spec.people - sum(sizes)
    return [tenant for tenant, size in zip(spec.tenants, sizes, strict=True) for _ in range(size)]


def _arrival(spec: TrafficSpec, rng: random.Random) -> int:
    """Two in five are there in the first half hour, the others come over the first 60 % of the time."""
    span = spec.end_ms - spec.start_ms
    share = rng.random() * (0.6 if rng.random() < 0.6 else min(0.6, 30 * MINUTE / span))
    return spec.start_ms + int(share * span)


def _slots(person: Person, rng: random.Random, mint: Mint) -> dict[str, Id]:
    """The ids of one person; every 25th is a marketplace buyer only, every 33rd a till customer only."""
    if person.number % 25 == 7:
        return {"market": _mint("market", person, rng, mint)}
    if person.number % 33 == 5:
        return {"phone": mint.phone()}
    held: list[str] = []
    for slot, (chance, needs) in _HABITS.items():
        if rng.random() < chance and (not needs or any(need in held for need in needs)):
            held.append(slot)
    if "mini" not in held and "phone" not in held:
        held.append("mini")
    return {slot: _mint(slot, person, rng, mint) for slot in held}


def _mint(slot: str, person: Person, rng: random.Random, mint: Mint) -> Id:
    """A new id for one slot of one person."""
    brand = brand_of(person.tenant)
    openids = {"mini": brand.mini_appid, "oa": brand.official_appid}
    if slot in openids:
        return mint.openid(openids[slot])
    if slot == "market":
        return mint.marketplace_id(rng.choice(brand.shops))
    numbered = {"uid": mint.uid, "card": mint.member_card, "email": mint.email}
    if slot in numbered:
        return numbered[slot](brand)
    drawn = {"union": mint.unionid, "phone": mint.phone, "external": mint.external_userid}
    return (drawn | {"device": mint.device_id, "cookie": mint.cookie})[slot]()


def _entangle(spec: TrafficSpec, before: Person, person: Person, rng: random.Random) -> None:
    """Lets two neighbours share what strangers or families share; they stay two people."""
    if "mini" in before.slots and "oa" in person.slots and rng.random() < _TWIN_CHANCE:
        kind, scope, _ = person.slots["oa"]
        person.slots["oa"] = (kind, scope, before.slots["mini"][2])
    if "device" in before.slots and "device" in person.slots and not before.device_from_ms:
        _share_device(spec, before, person, rng.random())


def _share_device(spec: TrafficSpec, before: Person, person: Person, draw: float) -> None:
    """A family's tablet at once, or a device sold in the middle of the time; at most two people per device."""
    sale_ms = spec.start_ms + (spec.end_ms - spec.start_ms) * 6 // 10
    if draw < _FAMILY_CHANCE:
        person.slots["device"] = before.slots["device"]
        person.device_from_ms = spec.start_ms
    elif draw < _FAMILY_CHANCE + _RESALE_CHANCE and before.arrives_ms < sale_ms - (spec.end_ms - sale_ms):
        person.slots["device"] = before.slots["device"]
        before.device_until_ms, person.device_from_ms = sale_ms, sale_ms + 30 * MINUTE


def _shop_at_both(people: list[Person], rng: random.Random) -> None:
    """Some are customers of two brands under one phone: two persons, since tenants never share."""
    for person in people:
        other = people[person.number // 2]
        if other.tenant == person.tenant or person.number % 2 or rng.random() > _BOTH_BRANDS_CHANCE:
            continue
        if "phone" in person.slots and "phone" in other.slots:
            person.slots["phone"] = other.slots["phone"]


def _share_more(spec: TrafficSpec, people: list[Person], mint: Mint) -> None:
    """Tills and recycled phones, drawn apart, so that traffic without them is as ever."""
    rng = random.Random(f"{spec.seed}/sharing")
    for tenant in spec.tenants if spec.tills else ():
        tills = [mint.phone() for _ in range(spec.tills)]
        for person in people[1:]:
            if person.tenant == tenant and "card" in person.slots and rng.random() < _TILL_CHANCE:
                person.till = rng.choice(tills)
    for before, person in pairwise(people) if spec.recycled else ():
        if _could_recycle(spec, before, person) and rng.random() < spec.recycled:
            _recycle(spec, before, person)


def _could_recycle(spec: TrafficSpec, before: Person, person: Person) -> bool:
    """Both are known to the mini-program; who gets the number has no account, which would be known by it alone."""
    early = before.arrives_ms < spec.start_ms + (spec.end_ms - spec.start_ms) // 5
    both = before.tenant == person.tenant and {"mini", "phone"} <= before.slots.keys() & person.slots.keys()
    return early and both and "uid" not in person.slots and before.recycled is None


def _recycle(spec: TrafficSpec, before: Person, person: Person) -> None:
    before.phone_until_ms = spec.start_ms + (spec.end_ms - spec.start_ms) * 3 // 4
    person.recycled_from_ms = before.phone_until_ms + 30 * MINUTE
    person.recycled = before.slots["phone"]
    del person.slots["phone"]
