"""Where rules meet persons and delivery: events, due timers, receipts and merges in, triggers and decisions out.

In: accepted events that somebody listens to, the clock's steps, receipts, what became known of persons. Out: public
records and table rows, in order. Never: a channel's or the network's doing; a decision that is not written down.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from streams.compact.cold import Unreadable
from streams.engage.absences import Absences
from streams.engage.dates import Dates
from streams.engage.erasing import Erasing
from streams.engage.exceeding import Exceeding
from streams.engage.hearing import Ears, Hearing, note
from streams.engage.histories import Histories
from streams.engage.joins import joins
from streams.engage.journeys import Journeys
from streams.engage.match import SEPARATOR
from streams.engage.profile import Profiles
from streams.engage.records import Public, Records
from streams.engage.sending import ANSWERS, REMEMBER_MS, Sending
from streams.engage.waits import Waits
from streams.identity.changes import Erased, IdentityFact, Moved
from streams.identity.nodes import tenant_of
from streams.identity.persons import Persons
from streams.journal.clock import Clock
from streams.journal.tables import Tables
from streams.poison import NOTHING, Firing, Poisoned, Tally, Told, letter_of_firing
from streams.rules.absence import Seen
from streams.rules.book import Book, Compiled
from streams.rules.conditions import FIELDS
from streams.rules.timers import Timers

__all__ = ["REMEMBER_MS", "Engage", "Public"]


class Engage:
    """All that waits or was sent in one shard, and what came out since the last `take`."""

    def __init__(self, tables: Tables, persons: Persons, clock: Clock, book: Book) -> None:
        self.timers = Timers(tables)
        self._records = Records()
        self._clock = clock
        self._book = book
        self._profiles = Profiles(tables, persons)
        self._sending = Sending(tables, book, clock, timers=self.timers, profiles=self._profiles, records=self._records)
        self._exceeding = Exceeding(book, clock, profiles=self._profiles, sending=self._sending, records=self._records)
        self._absences = Absences(tables, clock, self.timers, self._sending)
        self._histories = Histories(tables, clock, self.timers, self._profiles, self._sending)
        self._waits = Waits(tables, self.timers, self._profiles, self._sending, self._histories)
        self._journeys = Journeys(
            tables,
            book,
            clock,
            timers=self.timers,
            profiles=self._profiles,
            sending=self._sending,
            records=self._records,
        )
        self._dates = Dates(tables, book, clock, timers=self.timers, profiles=self._profiles, sending=self._sending)
        self._ears = Ears(book, self._sending.policies)
        self._erasing = Erasing(tables, self._journeys.runs)
        self._tally = Tally(tables)
        self.left_out: Told = NOTHING

    @property
    def public(self) -> list[Public]:
        """Public records since the last `take`; others may add theirs."""
        return self._records.public

    def take(self) -> tuple[list[Public], list[dict[str, Any]], list[dict[str, Any]]]:
        """Public records, and rows of `triggers` and `decisions`, that came out since the last call."""
        return self._records.take()

    def take_moves(self) -> list[dict[str, Any]]:
        """Rows of `journey_moves` that came out since the last call."""
        return self._records.take_moves()

    def standing(self) -> Mapping[tuple[str, str], int]:
        """How many are where in journeys, by rule and step."""
        return self._journeys.runs.standing

    # What is in force

    def apply_rule(self, tenant: str, text: str) -> tuple[str, ...]:
        """Puts a rule in force; the groups of sources whose clocks it waits for.

        Raises:
            InvalidRule: it can't be taken; nothing has changed.
        """
        compiled = self._book.apply(tenant, text)
        self._ears.anew()
        self._journeys.changed(compiled)
        self._dates.changed(compiled)
        return compiled.groups

    def apply_policy(self, tenant: str, text: str) -> None:
        """Puts a delivery policy in force.

        Raises:
            InvalidPolicy: it can't be taken; nothing has changed.
        """
        policies = self._sending.policies
        before = policies.of(tenant)
        policies.apply(tenant, text)
        self._ears.anew()
        if policies.of(tenant).zone != before.zone:
            self._dates.rezoned(tenant)

    def listening(self, tenant: str, event_type: str) -> Hearing | None:
        """Who listens to this event type; None for nobody."""
        return self._ears.of(tenant, event_type)

    # What happens

    def on_event(self, hearing: Hearing, event: Mapping[str, Any], seen: Seen) -> None:
        """Takes one event to those who listen to its type."""
        for compiled in hearing.rules:
            self._detector(compiled).on_event(compiled, event, seen)
        if seen.nodes:
            note(hearing, event, seen, self._profiles)
            self._dates.told(hearing.dates, seen.nodes)
            self._exits(hearing, event["event_type"], seen)
            if hearing.awaiting:
                self._journeys.on_event(hearing.awaiting, event, seen)

    def _exits(self, hearing: Hearing, event_type: str, seen: Seen) -> None:
        if hearing.exits:
            self._journeys.exits(event_type, seen.nodes, seen.event_time_ms)
            self._sending.exits(hearing.exits, seen.nodes, seen.event_id, seen.event_time_ms)

    def on_clock(self) -> None:
        """Settles everything that is due by now."""
        if self.timers.next_ms < self._clock.now:
            for key in self.timers.due(self._clock):
                firing = Firing(key, self._clock.now)
                try:
                    if firing in self.left_out:
                        self._leave_out(firing)
                    else:
                        self._ripe(key)
                except (MemoryError, Unreadable):
                    raise
                except Exception as error:
                    raise Poisoned(firing, error) from error

    def _leave_out(self, firing: Firing) -> None:
        """What waits there is given up, as a dead letter."""
        match = self._sending.get(firing.key)
        row = match.row if match is not None else self._absences.row(firing.key) or self._journeys.row(firing.key)
        tenant, letter = letter_of_firing(firing, row, self.left_out[firing])
        if match is not None:
            self._sending.forget(match)
        self._absences.forget(firing.key)
        self._dates.forget(firing.key)
        self._journeys.give_up(firing.key, match)
        self.public.append(Public("events.deadletter", tenant, "dead_letter", letter))
        self._tally.add(self._clock.now)

    def _ripe(self, key: str) -> None:
        tenant, name, _ = key.split(SEPARATOR, 2)
        if name.endswith("/"):
            waiting = self._dates if key in self._dates else self._journeys
            waiting.ripe(key)
            return
        compiled = self._book.rule(tenant, name)
        match = self._sending.get(key)
        if match is None and key in self._histories:
            self._histories.ripe(key, compiled)
        elif match is None and key in self._waits:
            self._waits.ripe(key, compiled)
        elif match is None:
            self._absences.ripe(key, compiled)
        elif compiled is not None and match.waits and name != match.name:
            self._journeys.decide(match, compiled)
        elif compiled is not None and match.waits:
            waits = self._waits if _on_person(compiled) else self._absences
            waits.decide(match, compiled)
        else:
            self._sending.forget(match)
            self._absences.forget(key)

    def _detector(self, compiled: Compiled) -> Absences | Waits | Histories:
        if compiled.rule.when.absence is None:
            return self._histories
        return self._waits if _on_person(compiled) else self._absences

    def on_receipt(self, record: Mapping[str, Any]) -> None:
        """Takes what a sender reports of a trigger: what failed falls back, what was answered counts as a doing."""
        node = self._sending.receipt(record)
        if node is None or record["status"] not in ANSWERS:
            return
        hearing = self._ears.of(record["tenant"], record["status"])
        if hearing is not None:
            seen = Seen(record["delivery_id"], record["time"], (node,))
            event = _answer(record)
            note(hearing, event, seen, self._profiles)
            self._exits(hearing, record["status"], seen)
            if hearing.awaiting:
                self._journeys.on_event(hearing.awaiting, event, seen)

    def is_erased(self, trigger_id: str) -> bool:
        """Whether this was sent to a person who was erased since."""
        return self._erasing.knows(trigger_id)

    def on_identity(self, facts: Sequence[IdentityFact]) -> None:
        """Takes what became known of who is who: what persons that became one had got adds up."""
        profiles = self._profiles
        for fact in facts:
            if isinstance(fact, Erased):
                self._erasing.erase(frozenset(node for node, _ in fact.nodes), fact.evidence.event_time_ms)
        for join in joins(facts, lambda node: profiles.person((node,))[0], profiles.members):
            self._exceeding.merged(join.one_id, join.parts, join.cause)
            tenant = tenant_of(join.parts[0][0])
            self._waits.merged(filter(_on_person, self._book.of(tenant)), join.one_id)
            self._histories.merged(self._ears.histories(tenant), join.one_id)
        self._journeys.joined(fact.node for fact in facts if isinstance(fact, Moved) and fact.one_id)
        self._dates.moved(facts)


def _answer(record: Mapping[str, Any]) -> dict[str, Any]:
    """A receipt as an event that the person did, at the touchpoint that is the channel."""
    told = {"tenant": record["tenant"], "event_type": record["status"], "touchpoint": record["channel"]}
    when = {"event_id": record["delivery_id"], "event_time": record["time"]}
    return dict.fromkeys(FIELDS) | told | when | {"properties": {}}


def _on_person(compiled: Compiled) -> bool:
    absence = compiled.rule.when.absence
    return absence is not None and absence.same == "person"
