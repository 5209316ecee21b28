"""A customer, and the ways in which they show up.

In: ids and times that others plan. Out: `Person` and `Presence`, plain records. Never: plans anything.
"""

from dataclasses import dataclass, field
from typing import Final

from bench.traffic.ids import Wire
from bench.traffic.spec import Id

FOREVER_MS: Final = 1 << 62


@dataclass(frozen=True, slots=True)
class Presence:
    """One person on one touchpoint under one set of ids, within [from_ms, until_ms).

    It opens with one accepted event of type `opening`, so a person's ids are exactly those of their presences.
    `beside`: ids that its events show too and that are not the person's: a till's phone, one that was somebody else's.
    `forms`: the identity lists as events carry them, one for each way to write a phone. `buys`: orders come from it.
    """

    tenant: str
    person: int
    source: str
    ids: tuple[Id, ...]
    forms: tuple[list[Wire], ...]
    opening: str
    from_ms: int
    until_ms: int
    partition: int
    buys: bool
    beside: tuple[Id, ...] = ()


@dataclass(slots=True)
class Person:
    """One human as one brand's customer: ids by slot. `device_*_ms` bound the use of a shared or resold device.

    `till`: the phone that a shop types in for this customer. `recycled`: a phone that was another's until
    `recycled_from_ms`, as `phone_until_ms` says there.
    """

    number: int
    tenant: str
    arrives_ms: int
    slots: dict[str, Id] = field(default_factory=dict)
    device_from_ms: int = 0
    device_until_ms: int = FOREVER_MS
    till: Id | None = None
    recycled: Id | None = None
    recycled_from_ms: int = 0
    phone_until_ms: int = FOREVER_MS
    presences: list[Presence] = field(default_factory=list)

    @property
    def shop_only(self) -> bool:
        """Known to one marketplace shop and to nobody else, so out of reach."""
        return set(self.slots) == {"market"}

    @property
    def ids(self) -> frozenset[Id]:
        """All ids that accepted events show of them."""
        return frozenset(ident for presence in self.presences for ident in presence.ids)
