"""Send, defer until, or suppress: one chain, and the first link that says no names the reason.

In: what is on offer, the person as delivery knows them, the tenant's policy, delivery's now. Out: one verdict.
Never: matching; state; a look at another offer.

The order is settled: holdout, expiry, exit, re-entry, consent, cool-down, quiet hours, caps over all, the channel, the
person's best hour.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple
from zoneinfo import ZoneInfo

from streams.delivery.best import Tally, best_instant, liking
from streams.delivery.caps import bound
from streams.delivery.channels import Address, Route, choose
from streams.delivery.holdout import in_share
from streams.delivery.policy import DeliveryPolicy
from streams.delivery.quiet import Nights
from streams.delivery.reasons import Why


class Got(NamedTuple):
    """Something that the person was sent."""

    time_ms: int
    rule: str
    channel: str


@dataclass(frozen=True, slots=True)
class Recipient:
    """The person now. `opened`: when each interaction (`type` or `type@touchpoint`) last happened; `consents`: what
    they said of channels, by channel; `answers`: how they answered over a channel; `hours`: in each hour of the day."""

    one_id: str
    zone: ZoneInfo
    addresses: Sequence[Address]
    got: Sequence[Got]
    consents: Mapping[str, bool]
    opened: Callable[[str], int | None]
    answers: Callable[[str], Tally]
    hours: Callable[[], Sequence[Fraction]]


@dataclass(frozen=True, slots=True)
class Offer:
    """What a match wants to send, until when (that instant included), and what the rule says about it.

    `exited`: the person did, since the match began, what ends it; `matched_before`: an earlier match bars this one;
    `best_until_ms`: how long it may wait for the person's best hour, 0 for not at all.
    """

    rule: str
    expires_ms: int
    routes: Sequence[Route]
    at_hand: Collection[str] = ()
    exited: bool = False
    matched_before: bool = False
    cool_down_ms: int = 0
    cheapest: bool = False
    best: bool = False
    best_until_ms: int = 0
    disturbs: bool = True
    control_percent: float = 0


@dataclass(frozen=True, slots=True)
class Send:
    """Send over this route to this id."""

    route: Route
    address: Address
    reason: Why = Why.MATCHED


@dataclass(frozen=True, slots=True)
class Defer:
    """Don't send yet, for this reason: decide anew at this time."""

    until_ms: int
    reason: Why = Why.QUIET_HOURS


@dataclass(frozen=True, slots=True)
class Suppress:
    """Don't send, for this reason."""

    reason: Why


Verdict = Send | Defer | Suppress


def decide(offer: Offer, person: Recipient, policy: DeliveryPolicy, now_ms: int, nights: Nights) -> Verdict:
    """The verdict on an offer to this person at this time."""
    allowed = [route for route in offer.routes if _consents(person, policy, route.channel)]
    chain = (
        (held_out(person.one_id, offer.rule, policy, offer.control_percent), True),
        (Why.EXPIRED, now_ms > offer.expires_ms),
        (Why.EXITED, offer.exited),
        (Why.RE_ENTRY, offer.matched_before),
        (Why.NO_CONSENT, not allowed),
        (Why.COOL_DOWN, any(now_ms < got.time_ms + offer.cool_down_ms for got in person.got if got.rule == offer.rule)),
    )
    refused = next((why for why, says_no in chain if why is not None and says_no), None)
    if refused is not None:
        return Suppress(refused)
    quiet = policy.quiet_hours.hours if policy.quiet_hours and offer.disturbs else None
    if quiet is not None and (until_ms := nights.until(quiet, now_ms, person.zone)) > now_ms:
        return Defer(until_ms)
    if bound(policy.counted, [got.time_ms for got in person.got], now_ms, person.zone):
        return Suppress(Why.TOTAL_CAP)
    sent = _over_a_channel(offer, allowed, person, policy, now_ms)
    if offer.best_until_ms <= now_ms or isinstance(sent, Suppress):
        return sent
    return _at_the_best_hour(offer, sent, person, policy, now_ms)


def held_out(one_id: str, rule: str, policy: DeliveryPolicy, control_percent: float) -> Why | None:
    """Why the person gets nothing of this rule, so that it can be told what sending does; None where they may."""
    if in_share(one_id, "holdout", policy.holdout_percent):
        return Why.HOLDOUT
    return Why.CONTROL if in_share(one_id, f"rule:{rule}", control_percent) else None


def arm(one_id: str, rule: str, policy: DeliveryPolicy, control_percent: float) -> str:
    """The person's arm under this rule."""
    return "treatment" if held_out(one_id, rule, policy, control_percent) is None else "control"


def _consents(person: Recipient, policy: DeliveryPolicy, channel: str) -> bool:
    return person.consents.get(channel, not policy.channel(channel).needs_consent)


def _over_a_channel(
    offer: Offer, allowed: list[Route], person: Recipient, policy: DeliveryPolicy, now_ms: int
) -> Send | Suppress:
    def is_open(channel: str) -> bool:
        return in_reply_window(policy, channel, person.opened, now_ms)

    def is_full(channel: str) -> bool:
        sent_ms = [got.time_ms for got in person.got if got.channel == channel]
        return bound(policy.channel(channel).counted, sent_ms, now_ms, person.zone)

    def first(routes: Sequence[Route]) -> tuple[Route, Address] | Why:
        return choose(routes, person.addresses, offer.at_hand, is_open, is_full)

    if offer.cheapest:
        allowed = sorted(allowed, key=lambda route: policy.channel(route.channel).cost_fen)
    found = first(allowed)
    if isinstance(found, Why) or not offer.best:
        return Suppress(found) if isinstance(found, Why) else Send(*found)
    best = first(sorted(allowed, key=lambda route: -liking(person.answers(route.channel))))
    assert not isinstance(best, Why)
    return Send(*best) if best == found else Send(*best, Why.BEST_CHANNEL)


def _at_the_best_hour(offer: Offer, sent: Send, person: Recipient, policy: DeliveryPolicy, now_ms: int) -> Send | Defer:
    """What can be sent now waits for a better hour in which it can be sent over that channel still."""
    quiet = policy.quiet_hours.hours if policy.quiet_hours and offer.disturbs else None

    def will_do(time_ms: int) -> bool:
        is_quiet = quiet is not None and quiet.at(time_ms, person.zone)
        return not is_quiet and in_reply_window(policy, sent.route.channel, person.opened, time_ms)

    until_ms = best_instant(now_ms, min(offer.best_until_ms, offer.expires_ms), person.zone, person.hours(), will_do)
    return Defer(until_ms, Why.BEST_HOUR) if until_ms > now_ms else sent


def in_reply_window(policy: DeliveryPolicy, channel: str, last: Callable[[str], int | None], now_ms: int) -> bool:
    """Whether an interaction opened the channel at most its length ago; a channel without windows is always open."""
    windows = policy.channel(channel).reply_windows
    return not windows or any(
        (last_ms := last(watch(window.event, window.touchpoint))) is not None and now_ms - last_ms <= window.open_for
        for window in windows
    )


def watch(event_type: str, touchpoint: str | None) -> str:
    """How an interaction is called: its type, with its touchpoint where only that one counts."""
    return event_type if touchpoint is None else f"{event_type}@{touchpoint}"
