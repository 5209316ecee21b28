"""Which id of a person a channel can reach.

In: the channels a rule allows, in its order; the ids of the person. Out: the first channel and id that fit.
Never: caps, times, consent (see `decide`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple


class Route(NamedTuple):
    """A channel, the kind of id that it needs, and its issuer (None: any)."""

    channel: str
    kind: str
    scope: str | None


class Address(NamedTuple):
    """An id of the person; `seq` grows with the order in which ids were first seen."""

    node: str
    kind: str
    scope: str
    value: str
    seq: int


def route(
    routes: Sequence[Route], addresses: Iterable[Address], at_hand: Collection[str]
) -> tuple[Route, Address] | None:
    """The first route that reaches the person, with the best id for it.

    The best id is one that the causing event itself carried (`at_hand`), else the one seen first most lately.
    """
    known = list(addresses)
    for candidate in routes:
        fitting = [address for address in known if _fits(candidate, address)]
        if fitting:
            return candidate, min(fitting, key=lambda a: (a.node not in at_hand, -a.seq, a.node))
    return None


def _fits(candidate: Route, address: Address) -> bool:
    return address.kind == candidate.kind and candidate.scope in (None, address.scope)
