"""Waits for what a person does not do: absence rules on the person, where there is no business key.

In: events that begin or end a wait, due timers. Out: matches for delivery; what came of those that were sent.
Never: a channel; a business key (see `absences`).

Each A has a wait of its own, and B ends it if it lies neither before A nor after A + T; the same millisecond is after.
A wait within T of one that has matched is the same wait, and makes no second match.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from streams.delivery.reasons import Why
from streams.engage.histories import Histories
from streams.engage.match import SEPARATOR, Match
from streams.engage.profile import Profiles
from streams.engage.sending import Sending
from streams.journal.tables import Tables
from streams.rules.absence import Seen
from streams.rules.book import Compiled
from streams.rules.history import Entry
from streams.rules.timers import Timers

_BEGIN, _END = 0, 1


class Wait(NamedTuple):
    """An A: the ids that it carried, when it happened, and A + T."""

    nodes: tuple[str, ...]
    anchor_ms: int
    due_ms: int


class Waits:
    """Table `waits`: tenant␟rule␟A's event_id → wait. What ends them stands in the histories."""

    def __init__(
        self, tables: Tables, timers: Timers, profiles: Profiles, sending: Sending, histories: Histories
    ) -> None:
        self._rows = tables.table("waits")
        self._timers = timers
        self._profiles = profiles
        self._sending = sending
        self._histories = histories

    def on_event(self, compiled: Compiled, event: Mapping[str, Any], seen: Seen) -> None:
        """Takes one event that the rule hears; one of nobody neither begins nor ends anything."""
        absence = compiled.rule.when.absence
        met = compiled.hears(event["event_type"], event)
        if not seen.nodes or not met or absence is None:
            return
        if _BEGIN in met:
            key = SEPARATOR.join((event["tenant"], compiled.rule.rule, seen.event_id))
            wait = Wait(seen.nodes, seen.event_time_ms, seen.event_time_ms + absence.within)
            self._rows.put(key, tuple(wait))
            self._timers.set(key, wait.due_ms, compiled.rule.priority, compiled.waits)
        else:
            self._ended(compiled, seen)

    def _ended(self, compiled: Compiled, seen: Seen) -> None:
        node, time_ms = seen.nodes[0], seen.event_time_ms
        self._histories.note(compiled, Entry(time_ms, _END, seen.event_id, 1, node))
        sends = self._profiles.sends.of(self._profiles.members(self._profiles.person(seen.nodes)[0]))
        for key in dict.fromkeys(sent.match for sent in sends if sent.decided_by == compiled.rule.rule):
            match = self._sending.get(key)
            if match is not None and match.sent and match.anchor_ms <= time_ms:
                self._sending.ended_late(match, compiled, seen.event_id, time_ms <= match.due_ms)

    def ripe(self, key: str, compiled: Compiled | None) -> None:
        """The wait is over: whether it was in vain is seen in what today's person has done."""
        wait = Wait(*self._rows[key])
        self._rows.drop(key)
        if compiled is None or compiled.rule.when.absence is None or self._is_another(wait, compiled):
            return
        tenant, rule, event_id = key.split(SEPARATOR, 2)
        match = Match(tenant, rule, event_id, "", wait.nodes, wait.anchor_ms, wait.due_ms, (event_id,))
        end = self._end(match, compiled)
        if end is None:
            self._histories.mark(compiled, wait.nodes[0], wait.anchor_ms)
        if end is None or end.time_ms > wait.due_ms:
            self.decide(match, compiled)

    def _is_another(self, wait: Wait, compiled: Compiled) -> bool:
        """Whether it is the same wait as one that has matched."""
        length = wait.due_ms - wait.anchor_ms
        marks = self._histories.of(compiled, self._members(wait.nodes))[1]
        return any(abs(wait.anchor_ms - mark) <= length for mark in marks)

    def _members(self, nodes: tuple[str, ...]) -> list[str]:
        return self._profiles.members(self._profiles.person(nodes)[0])

    def _end(self, match: Match, compiled: Compiled) -> Entry | None:
        """The first B that does not lie before A."""
        entries = self._histories.of(compiled, self._members(match.nodes))[0]
        return min((entry for entry in entries if entry.time_ms >= match.anchor_ms), default=None)

    def decide(self, match: Match, compiled: Compiled) -> None:
        """Has a match decided, now or again, unless what it waited for has come in the meantime."""
        end = self._end(match, compiled)
        if end is None:
            self._sending.decide(match, compiled)
            return
        reason = Why.ENDED_IN_TIME if end.time_ms <= match.due_ms else Why.ENDED_BEFORE_SEND
        self._sending.suppress(self._sending.enter(match), compiled, reason, (end.event_id,))

    def merged(self, rules: Iterable[Compiled], one_id: str) -> None:
        """Persons became one: what one of them was sent for not doing, the other may have done."""
        sends = self._profiles.sends.of(self._profiles.members(one_id))
        for compiled in rules:
            for key in dict.fromkeys(sent.match for sent in sends if sent.decided_by == compiled.rule.rule):
                match = self._sending.get(key)
                end = self._end(match, compiled) if match is not None and match.sent else None
                if match is not None and end is not None:
                    self._sending.ended_late(match, compiled, end.event_id, end.time_ms <= match.due_ms)

    def __contains__(self, key: object) -> bool:
        return key in self._rows
