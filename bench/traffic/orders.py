"""Which orders there are, whose, when, and what becomes of each.

In: people with their presences. Out: `Order`s with their fate. Never: an event; the truth about an order is its fate.
"""

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from bench.traffic.brands import Item, brand_of
from bench.traffic.fates import SAFE_MS, WEIGHTS, Fate, span_ms
from bench.traffic.ids import Mint
from bench.traffic.person import Person, Presence
from bench.traffic.presences import presence_at
from bench.traffic.spec import HOUR, MINUTE, OrderKey, TrafficSpec

_ORDERS_PER_PERSON: Final = 0.8
_UNREACHABLE_CHANCE: Final = 0.8
_TRIES: Final = 40


@dataclass(frozen=True, slots=True)
class Order:
    """One order: submitted by `buyer` at `submitted_ms` (event time); whoever pays does so as `payer`."""

    tenant: str
    order_id: str
    fate: Fate
    buyer: Presence
    payer: Presence
    submitted_ms: int
    amount_fen: int
    item: Item

    @property
    def key(self) -> OrderKey:
        """What the order is known by; the same order_id in two tenants is two orders."""
        return (self.tenant, self.order_id)


class OrderPlanner:
    """Deals fates to buyers. Planning an order paid under a new id adds presences to its buyer."""

    def __init__(self, spec: TrafficSpec, people: list[Person], rng: random.Random, mint: Mint) -> None:
        self._spec, self._people, self._rng, self._mint = spec, people, rng, mint
        self._buying = {person.number: [p for p in person.presences if p.buys] for person in people}
        self._buyers = [person for person in people if self._buying[person.number]]
        self._by_tenant = {t: [p for p in self._buyers if p.tenant == t] for t in spec.tenants}
        self._numbers: Counter[str] = Counter()

    def plan(self) -> list[Order]:
        """Every fate at least once, then by weight; then the orders of those whom nobody can reach."""
        if not self._buyers:
            return []
        count = max(0, int(len(self._people) * _ORDERS_PER_PERSON) - len(WEIGHTS))
        drawn = self._rng.choices(list(WEIGHTS), list(WEIGHTS.values()), k=count)
        return [self._order(fate) for fate in [*WEIGHTS, *drawn]] + list(self._unreachable())

    def _unreachable(self) -> Iterator[Order]:
        """An unpaid order for most marketplace-only buyers, the first of them always."""
        strangers = [person for person in self._people if person.shop_only]
        for nth, person in enumerate(strangers):
            if nth == 0 or self._rng.random() < _UNREACHABLE_CHANCE:
                shop = person.presences[0]
                at_ms = self._between(shop.from_ms + MINUTE, self._spec.end_ms - self._spec.wait_ms)
                yield self._fill_in(Fate.UNREACHABLE, shop, shop, at_ms)

    def _order(self, fate: Fate) -> Order:
        """One order with this fate."""
        latest_ms = self._spec.end_ms - span_ms(fate, self._spec)
        person = self._buyer(fate, latest_ms)
        ways = self._buying[person.number]
        at_ms = self._between(min(way.from_ms for way in ways) + MINUTE, latest_ms)
        buyer = self._rng.choice([way for way in ways if way.from_ms + MINUTE <= at_ms < way.until_ms])
        if fate is Fate.PAID_BY_FRIEND:
            return self._fill_in(fate, buyer, self._friend(person, at_ms), at_ms)
        if fate is Fate.PAID_UNDER_UNLINKED_ID:
            return self._fill_in(fate, buyer, self._unlinked(person, buyer, at_ms), at_ms)
        return self._fill_in(fate, buyer, buyer, at_ms)

    def _buyer(self, fate: Fate, latest_ms: int) -> Person:
        """Somebody who can buy early enough; if luck fails, the last one drawn (the traffic then lasts longer)."""
        for _ in range(_TRIES):
            person = self._rng.choice(self._buyers)
            early = min(way.from_ms for way in self._buying[person.number]) + MINUTE < latest_ms
            if early and not (fate is Fate.PAID_UNDER_UNLINKED_ID and "live" in person.slots):
                break
        return person

    def _friend(self, person: Person, at_ms: int) -> Presence:
        """A presence of another customer of the brand who shares no id with the buyer (the buyer's, if all do)."""
        for _ in range(_TRIES):
            friend = self._rng.choice(self._by_tenant[person.tenant])
            ways = [way for way in self._buying[friend.number] if way.from_ms <= at_ms < way.until_ms]
            if friend is not person and ways and friend.ids.isdisjoint(person.ids):
                return self._rng.choice(ways)
        return self._buying[person.number][0]

    def _unlinked(self, person: Person, buyer: Presence, at_ms: int) -> Presence:
        """A new openid (of the live shop) that is tied to the buyer only long after the deadline."""
        live = person.slots.setdefault("live", self._mint.openid(brand_of(person.tenant).live_appid))
        known = person.slots.get("phone", buyer.ids[0])
        tied_ms = at_ms + self._spec.wait_ms + SAFE_MS + self._rng.randrange(HOUR)
        payer = presence_at(self._spec, person, "miniprogram", (live,), opening="page_view", from_ms=at_ms)
        tied = presence_at(self._spec, person, "miniprogram", (live, known), opening="login", from_ms=tied_ms)
        person.presences += [payer, tied]
        return payer

    def _between(self, earliest_ms: int, latest_ms: int) -> int:
        """An instant not before the earliest, and not after the latest if that leaves half an hour."""
        return self._rng.randrange(earliest_ms, max(latest_ms, earliest_ms + 30 * MINUTE))

    def _fill_in(self, fate: Fate, buyer: Presence, payer: Presence, at_ms: int) -> Order:
        """Number, amount and item of an order. Numbers count per tenant, so each occurs in several."""
        self._numbers[buyer.tenant] += 1
        order_id = f"SO2026{self._numbers[buyer.tenant]:08d}"
        item = self._rng.choice(brand_of(buyer.tenant).items)
        return Order(buyer.tenant, order_id, fate, buyer, payer, at_ms, self._amount(fate), item)

    def _amount(self, fate: Fate) -> int:
        """In fen, on the side of the rule's minimum where the fate puts it."""
        least = self._spec.min_amount_fen
        if fate is Fate.BELOW_MIN_AMOUNT:
            return self._rng.randrange(1, least)
        exact = {Fate.JUST_BELOW_MIN_AMOUNT: least - 1, Fate.AT_MIN_AMOUNT: least}
        return exact.get(fate, least + self._rng.randrange(1, 60_000))
