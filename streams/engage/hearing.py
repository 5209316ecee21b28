"""Who listens to an event type: the rules, and what is noted of the person.

In: the rules and the policy in force. Out: for a tenant and an event type, what to do with its events. Never: an event.

It is worked out once for each type and kept until a rule or a policy changes: an event that nobody listens to costs one
look into a dict.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from streams.delivery.decide import watch
from streams.delivery.policies import Policies
from streams.delivery.policy import ZONE_TRAIT, DeliveryPolicy
from streams.engage.profile import Profiles
from streams.rules import kinds
from streams.rules.absence import Seen
from streams.rules.book import Book, Compiled


class Hearing(NamedTuple):
    """What is done with events of one type: `rules` match on it, `exits` end with it; the others are noted.

    `doings`: touchpoint (None: any) and name; `consents`: channel and word; `traits`: name and property. `awaiting`:
    versions of journeys of which a step waits for it. `dates`: rules on a date that it tells, or on the zone.
    """

    rules: tuple[Compiled, ...] = ()
    exits: tuple[Compiled, ...] = ()
    doings: tuple[tuple[str | None, str], ...] = ()
    consents: tuple[tuple[str, bool], ...] = ()
    traits: tuple[tuple[str, str], ...] = ()
    awaiting: tuple[Compiled, ...] = ()
    dates: tuple[Compiled, ...] = ()


class Ears:
    """What is heard, by tenant and event type."""

    def __init__(self, book: Book, policies: Policies) -> None:
        self._book = book
        self._policies = policies
        self._known: dict[tuple[str, str], Hearing | None] = {}
        self._looking: dict[str, tuple[Compiled, ...]] = {}

    def of(self, tenant: str, event_type: str) -> Hearing | None:
        """What is done with events of this type; None where nobody listens."""
        key = tenant, event_type
        if key not in self._known:
            found = self._listen(tenant, event_type)
            self._known[key] = found if any(found) else None
        return self._known[key]

    def histories(self, tenant: str) -> tuple[Compiled, ...]:
        """The rules that look at what a person did before."""
        if tenant not in self._looking:
            kept = (kinds.Sequence, kinds.Count, kinds.Threshold, kinds.Interval)
            self._looking[tenant] = tuple(one for one in self._book.of(tenant) if isinstance(one.rule.when.kind, kept))
        return self._looking[tenant]

    def anew(self) -> None:
        """A rule or a policy has changed."""
        self._known.clear()
        self._looking.clear()

    def _listen(self, tenant: str, event_type: str) -> Hearing:
        rules, policy = self._book.of(tenant), self._policies.of(tenant)
        editions = self._book.editions(tenant)
        sent = [emit for edition in editions for emit in edition.emits.values()]
        plain = [compiled for compiled in rules if compiled.course is None]
        exits = tuple(one for one in (*plain, *editions, *sent) if event_type in one.rule.send.exit_on)
        doings = {(None, event_type)} if exits else set()
        traits = tuple((name, trait.property) for name, trait in policy.traits.items() if event_type in trait.of)
        return Hearing(
            rules=self._book.listening(tenant, event_type),
            exits=exits,
            doings=tuple(sorted(doings | _windows(policy, event_type), key=str)),
            consents=tuple(_consents(policy, event_type)),
            traits=traits,
            awaiting=tuple(one for one in editions if _awaits(one, event_type)),
            dates=tuple(one for one in rules if _tells(one, [name for name, _ in traits])),
        )


def _awaits(compiled: Compiled, event_type: str) -> bool:
    return compiled.course is not None and any(event_type in one.types for one in compiled.course.awaited)


def _tells(compiled: Compiled, traits: Collection[str]) -> bool:
    date = compiled.rule.when.date
    return date is not None and (date.trait in traits or ZONE_TRAIT in traits)


def _windows(policy: DeliveryPolicy, event_type: str) -> set[tuple[str | None, str]]:
    windows = [window for channel in policy.channels.values() for window in channel.reply_windows]
    return {(one.touchpoint, watch(one.event, one.touchpoint)) for one in windows if one.event == event_type}


def _consents(policy: DeliveryPolicy, event_type: str) -> list[tuple[str, bool]]:
    given = [(name, True) for name, spec in policy.channels.items() if event_type in spec.consent_given_by]
    return given + [(name, False) for name, spec in policy.channels.items() if event_type in spec.consent_withdrawn_by]


def note(hearing: Hearing, event: Mapping[str, Any], seen: Seen, profiles: Profiles) -> None:
    """Notes what an event tells of its person: it belongs to the event's strongest node."""
    node, time_ms = seen.nodes[0], seen.event_time_ms
    for touchpoint, doing in hearing.doings:
        if touchpoint in (None, event["touchpoint"]):
            profiles.doings.note(node, doing, time_ms)
    for channel, given in hearing.consents:
        profiles.consents.say(node, channel, time_ms, given)
    for name, field in hearing.traits:
        value = event["properties"].get(field)
        if value:
            profiles.traits.tell(node, name, time_ms, value)
