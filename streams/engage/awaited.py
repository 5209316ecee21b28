"""What persons did that a step of a journey waits for, also before somebody waits: it may turn out to be theirs.

In: events that a step awaits. Out: the first one in a span, of a set of nodes. Never: a run.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from streams.engage.match import SEPARATOR
from streams.journal.clock import Clock
from streams.journal.tables import Tables
from streams.rules.history import LATE_MS, MOST
from streams.rules.timers import NOW, Timers


class Came(NamedTuple):
    """An event that came: when it happened, its id."""

    time_ms: int
    event_id: str


class AwaitedEvents:
    """Table `awaited`: tenant␟journey/␟node → longest wait, (time, step by version and owner, event_id) of each.

    They are kept for that wait, and as late as an event may come, but no more than the newest MOST of a node.
    """

    def __init__(self, tables: Tables, clock: Clock, timers: Timers) -> None:
        self._rows = tables.table("awaited")
        self._clock = clock
        self._timers = timers

    def note(self, rule: str, node: str, step: str, came: Came, longest_ms: int) -> None:
        """Notes that this came; `step` names the step with its version."""
        key = _key(rule, node)
        before, entries = self._rows.get(key, (0, ()))
        longest_ms = max(longest_ms, before)
        kept = [one for one in entries if one[0] > self._clock.now - LATE_MS - longest_ms]
        kept.append((came.time_ms, step, came.event_id))
        self._rows.put(key, (longest_ms, tuple(sorted(kept)[-MOST:] if len(kept) > MOST else kept)))
        if key not in self._timers:
            self._timers.set(key, max(came.time_ms, self._clock.now) + LATE_MS + longest_ms, 0, NOW)

    def first(self, rule: str, nodes: Iterable[str], step: str, since_ms: int, until_ms: int) -> Came | None:
        """The first that came from `since_ms` to `until_ms`, both included."""
        rows = (self._rows.get(_key(rule, node)) for node in nodes)
        entries = (one for row in rows if row is not None for one in row[1])
        return min((Came(t, e) for t, of, e in entries if of == step and since_ms <= t <= until_ms), default=None)

    def ripe(self, key: str) -> None:
        """Forgets a row in which nothing counts any more; looks again later where something does."""
        longest_ms, entries = self._rows[key]
        newest = max(entry[0] for entry in entries)
        if newest > self._clock.now - LATE_MS - longest_ms:
            self._timers.set(key, newest + LATE_MS + longest_ms, 0, NOW)
        else:
            self._rows.drop(key)

    def __contains__(self, key: object) -> bool:
        return key in self._rows


def _key(rule: str, node: str) -> str:
    return SEPARATOR.join((node.partition(SEPARATOR)[0], f"{rule}/", node))
