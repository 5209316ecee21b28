"""Which channel, and which id of the person on it.

In: the channels that a rule allows, in its order; the ids of the person; what is open and what is full. Out: the first
channel that will do, with the best id for it, or why none does. Never: times over all channels (see `decide`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import NamedTuple

from streams.delivery.reasons import Why


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


def reached(candidate: Route, addresses: Iterable[Address], at_hand: Collection[str]) -> Address | None:
    """The best id of the person for this channel: one that the causing event itself carried (`at_hand`), else the one
    seen first most lately; None where there is none."""
    fitting = [address for address in addresses if _fits(candidate, address)]
    return min(fitting, key=lambda a: (a.node not in at_hand, -a.seq, a.node), default=None)


def _fits(candidate: Route, address: Address) -> bool:
    return address.kind == candidate.kind and candidate.scope in (None, address.scope)


_FURTHEST = (Why.UNREACHABLE, Why.OUTSIDE_REPLY_WINDOW, Why.CHANNEL_CAP)


def choose(
    routes: Sequence[Route],
    addresses: Sequence[Address],
    at_hand: Collection[str],
    is_open: Callable[[str], bool],
    is_full: Callable[[str], bool],
) -> tuple[Route, Address] | Why:
    """The first route that reaches the person, is in its reply window and under its cap; else why the one that came
    furthest does not."""
    furthest = 0
    for route in routes:
        address = reached(route, addresses, at_hand)
        if address is None:
            continue
        if not is_open(route.channel):
            furthest = max(furthest, 1)
        elif is_full(route.channel):
            furthest = 2
        else:
            return route, address
    return _FURTHEST[furthest]
