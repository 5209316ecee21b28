"""Send, or suppress with a reason: one chain, and the first link that says no names the reason.

In: what is on offer, delivery's now, the ids of the person. Out: `Send` or `Suppress`. Never: matching, state.

The order is settled: holdout, expiry, exit, re-entry, consent, cool-down, quiet hours, caps, then the channel. Links
that no rule can ask for yet are not here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from streams.delivery.channels import Address, Route, route


class Why(StrEnum):
    """Reasons of a decision, as they stand in `decisions.reason`."""

    MATCHED = "matched"
    EXPIRED = "expired"
    UNREACHABLE = "unreachable"
    ENDED_BEFORE_SEND = "ended_before_send"
    ENDED_IN_TIME = "ended_in_time"
    ENDED_AFTER_SEND = "ended_after_send"


@dataclass(frozen=True, slots=True)
class Offer:
    """What a match wants to send: until when (that instant included), and over which routes."""

    expires_ms: int
    routes: Sequence[Route]


@dataclass(frozen=True, slots=True)
class Send:
    """Send over this route to this id."""

    route: Route
    address: Address


@dataclass(frozen=True, slots=True)
class Suppress:
    """Don't send, for this reason."""

    reason: Why


def decide(offer: Offer, now_ms: int, addresses: Iterable[Address], at_hand: Collection[str]) -> Send | Suppress:
    """The verdict on an offer at this time for the person with these ids."""
    if now_ms > offer.expires_ms:
        return Suppress(Why.EXPIRED)
    reached = route(offer.routes, addresses, at_hand)
    return Suppress(Why.UNREACHABLE) if reached is None else Send(*reached)
