"""Waits for what does not come: the instances of absence rules, each by its business key.

In: events that begin or end a wait, due timers. Out: matches for delivery; what came of those that were sent.
Never: a person; a channel.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from streams.delivery.reasons import Why
from streams.engage.match import SEPARATOR, Match
from streams.engage.sending import REMEMBER_MS, Sending
from streams.journal.clock import Clock
from streams.journal.tables import Tables
from streams.rules.absence import Instance, Seen, Stage, Verdict, from_row, to_row
from streams.rules.book import Compiled
from streams.rules.timers import Timers


class Absences:
    """Table `instances`: the key of a match → how far its wait is."""

    def __init__(self, tables: Tables, clock: Clock, timers: Timers, sending: Sending) -> None:
        self._rows = tables.table("instances")
        self._clock = clock
        self._timers = timers
        self._sending = sending

    def on_event(self, compiled: Compiled, event: Mapping[str, Any], seen: Seen) -> None:
        """Takes one event that the rule listens to."""
        order_id = event["order_id"]
        if not order_id:
            return
        key = SEPARATOR.join((event["tenant"], compiled.rule.rule, order_id))
        row = self._rows.get(key)
        before = Instance() if row is None else from_row(row)
        absence = compiled.rule.when.absence
        assert absence is not None
        if event["event_type"] != absence.after:
            self._ended(key, before, compiled, seen)
        elif compiled.clauses[0].condition(event):
            self._keep(key, before, before.began(seen, absence.within), compiled)

    def _ended(self, key: str, before: Instance, compiled: Compiled, seen: Seen) -> None:
        match = self._sending.get(key) if before.stage is Stage.MATCHED else None
        if match is not None and match.sent:
            self._sending.ended_late(match, compiled, seen.event_id, before.in_time(seen))
        if before.stage is Stage.OPEN or match is not None:
            self._keep(key, before, before.end(seen), compiled)

    def _keep(self, key: str, before: Instance, after: Instance, compiled: Compiled) -> None:
        if after == before:
            return
        self._rows.put(key, to_row(after))
        if after.due_ms != before.due_ms:
            self._timers.set(key, after.due_ms, compiled.rule.priority, compiled.waits)
        elif after.anchor is None and after.ended is not None:
            self._forget_later(key, compiled, after.ended.event_time_ms)

    def _forget_later(self, key: str, compiled: Compiled, since_ms: int) -> None:
        self._timers.set(key, max(since_ms, self._clock.now) + REMEMBER_MS, 0, compiled.group)

    def ripe(self, key: str, compiled: Compiled | None) -> None:
        """The key's timer is due, and delivery has no match of it: the wait is over, or is to be forgotten."""
        instance = from_row(self._rows[key])
        absence = None if compiled is None else compiled.rule.when.absence
        if compiled is None or absence is None or not instance.waiting or instance.anchor is None:
            self.forget(key)
            return
        verdict = instance.ripe()
        self._rows.put(key, to_row(instance.decided(verdict is Verdict.MATCHED)))
        self._forget_later(key, compiled, instance.due_ms)
        if verdict is not Verdict.PREVENTED:
            match = _match(key, instance)
            self.decide(match, compiled) if verdict is Verdict.MATCHED else self._late(match, compiled, instance)

    def decide(self, match: Match, compiled: Compiled) -> None:
        """Has a match decided, now or again, unless what it waited for has come in the meantime."""
        row = self._rows.get(match.key)
        instance = None if row is None else from_row(row)
        if instance is not None and instance.ended is not None and not match.sent:
            self._late(match, compiled, instance)
        else:
            self._sending.decide(match, compiled)
        if instance is not None and match.key not in self._timers:  # the match took the key's one timer along
            self._forget_later(match.key, compiled, match.due_ms)

    def _late(self, match: Match, compiled: Compiled, instance: Instance) -> None:
        """B came before it was sent: in time only where it was deferred, since else there is no match."""
        assert instance.ended is not None
        reason = Why.ENDED_IN_TIME if instance.in_time(instance.ended) else Why.ENDED_BEFORE_SEND
        self._sending.suppress(self._sending.enter(match), compiled, reason, (instance.ended.event_id,))

    def forget(self, key: str) -> None:
        """Nothing more can come of it."""
        self._rows.drop(key)

    def row(self, key: str) -> object:
        """What waits under this key, as it is kept; None for nothing."""
        return self._rows.get(key)

    def __contains__(self, key: object) -> bool:
        return key in self._rows


def _match(key: str, instance: Instance) -> Match:
    tenant, rule, order_id = key.split(SEPARATOR, 2)
    anchor = instance.anchor
    assert anchor is not None
    return Match(
        tenant, rule, order_id, order_id, anchor.nodes, anchor.event_time_ms, instance.due_ms, (anchor.event_id,)
    )
