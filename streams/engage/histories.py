"""Rules that look at what a person did: sequences, counts, intervals, and single events.

In: events that such a rule hears, merges. Out: matches for delivery, each once. Never: a channel; a clock of its own.

What counts is kept by node, and a person's history is put together when something comes: so a merge can complete a
count by itself, and an unlink divides it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from streams.documents import LONGEST_MS
from streams.engage.match import SEPARATOR, Match
from streams.engage.profile import Profiles
from streams.engage.sending import Sending
from streams.journal.clock import Clock
from streams.journal.tables import Tables
from streams.rules import kinds
from streams.rules.absence import Seen
from streams.rules.book import Compiled
from streams.rules.history import LATE_MS, MOST, Entry, Found
from streams.rules.interval import intervals
from streams.rules.levels import levels
from streams.rules.sequence import sequences
from streams.rules.timers import NOW, Timers
from streams.rules.windows import COUNT, DISTINCT, SUM, crossings

_TOO_MUCH = 1 << 63
"""No row can hold a number of this size."""


class Row(NamedTuple):
    """What one node did. `name`: of what the entries are; `marks`: what has matched; `cut_ms`: of the oldest entry that
    was kept when there were too many, 0: all were."""

    name: str
    entries: Sequence[Any] = ()
    marks: tuple[int, ...] = ()
    cut_ms: int = 0


class Histories:
    """Table `histories`: tenant␟rule␟node → row."""

    def __init__(self, tables: Tables, clock: Clock, timers: Timers, profiles: Profiles, sending: Sending) -> None:
        self._rows = tables.table("histories")
        self._clock = clock
        self._timers = timers
        self._profiles = profiles
        self._sending = sending

    def on_event(self, compiled: Compiled, event: Mapping[str, Any], seen: Seen) -> None:
        """Takes one event that the rule hears; one of nobody counts for nobody."""
        if not seen.nodes:
            return
        met = compiled.hears(event["event_type"], event)
        kind = compiled.rule.when.kind
        if isinstance(kind, kinds.Happened):
            if met:
                self._match_at_once(compiled, event, seen, kind.wait or 0)
            return
        value = _value(kind, event)
        if met and value is not None:
            node = seen.nodes[0]
            self.note(compiled, Entry(seen.event_time_ms, met[0], seen.event_id, value, node))
            self.look(compiled, event["tenant"], self._profiles.members(self._profiles.person(seen.nodes)[0]))

    def _match_at_once(self, compiled: Compiled, event: Mapping[str, Any], seen: Seen, wait_ms: int) -> None:
        due_ms = seen.event_time_ms + wait_ms
        name, cause = compiled.rule.rule, seen.event_id
        held = tuple((field, event[field]) for field in (compiled.course.fields if compiled.course else ()))
        said = (seen.nodes, seen.event_time_ms, due_ms, (seen.event_id,))
        self._sending.due(Match(event["tenant"], name, cause, "", *said, held=held), compiled)

    def note(self, compiled: Compiled, entry: Entry) -> None:
        """Notes an event that counts."""
        key = _key(compiled, entry.node)
        row, horizon, most = self._row(key, compiled), self._horizon(compiled), _most(compiled)
        kept = [one for one in (*row.entries, tuple(entry[:4])) if one[0] > horizon]
        if isinstance(compiled.rule.when.kind, kinds.Threshold):
            kept = _last_and_later(kept, self._clock.now - LATE_MS)
        cut_ms = row.cut_ms
        if len(kept) > most:
            kept = sorted(kept)[-most:]
            cut_ms = kept[0][0]
        self._rows.put(key, tuple(Row(row.name, tuple(kept), row.marks, cut_ms)))
        if key not in self._timers:
            self._timers.set(key, self._forgets(compiled, entry.time_ms), 0, NOW)

    def _row(self, key: str, compiled: Compiled) -> Row:
        """The row; an empty one where there is none, or one of a version that counted something else."""
        row, name = self._rows.get(key), _of_what(compiled)
        return Row(*row) if row is not None and row[0] == name else Row(name)

    def _horizon(self, compiled: Compiled) -> int:
        """What is not later than this counts no more."""
        return self._clock.now - LATE_MS - _span(compiled)

    def _forgets(self, compiled: Compiled, time_ms: int) -> int:
        return max(time_ms, self._clock.now) + LATE_MS + _span(compiled)

    def look(self, compiled: Compiled, tenant: str, nodes: Iterable[str]) -> None:
        """Finds what the history of these nodes has come to match."""
        rows = self._rows_of(compiled, nodes)
        entries, marks = self._counting(compiled, rows)
        since_ms = max(self._clock.now - LATE_MS, self._whole_since(compiled, rows))
        for found in _find(compiled, entries, marks):
            if found.due_ms > since_ms:
                self._found(compiled, tenant, found)

    def _whole_since(self, compiled: Compiled, rows: Mapping[str, Row]) -> int:
        """Up to when what is found may only seem new, since what it began with counts no more; 0 where all counts."""
        cut_ms = max((row.cut_ms for row in rows.values()), default=0)
        return cut_ms + (_span(compiled) if isinstance(compiled.rule.when.kind, kinds.Count) else 0) if cut_ms else 0

    def of(self, compiled: Compiled, nodes: Iterable[str]) -> tuple[list[Entry], list[int]]:
        """What still counts of the history of these nodes, and what has matched."""
        return self._counting(compiled, self._rows_of(compiled, nodes))

    def _rows_of(self, compiled: Compiled, nodes: Iterable[str]) -> dict[str, Row]:
        return {node: self._row(_key(compiled, node), compiled) for node in nodes}

    def _counting(self, compiled: Compiled, rows: Mapping[str, Row]) -> tuple[list[Entry], list[int]]:
        horizon = self._horizon(compiled)
        entries = [_entry(entry, node) for node, row in rows.items() for entry in row.entries if entry[0] > horizon]
        return entries, [mark for row in rows.values() for mark in row.marks]

    def _found(self, compiled: Compiled, tenant: str, found: Found) -> None:
        anchor = found.anchor
        self.mark(compiled, anchor.node, found.mark_ms)
        rule, cause = compiled.rule.rule, anchor.event_id
        match = Match(tenant, rule, cause, "", (anchor.node,), anchor.time_ms, found.due_ms, found.events)
        self._sending.due(match, compiled)

    def mark(self, compiled: Compiled, node: str, mark_ms: int) -> None:
        """Notes what has matched."""
        key = _key(compiled, node)
        row = self._row(key, compiled)
        live = sorted([*(mark for mark in row.marks if mark > self._horizon(compiled)), mark_ms])
        self._rows.put(key, tuple(row._replace(marks=tuple(live[-_most(compiled) :]))))
        if key not in self._timers:
            self._timers.set(key, self._forgets(compiled, mark_ms), 0, NOW)

    def merged(self, rules: Iterable[Compiled], one_id: str) -> None:
        """Persons became one: what they did is one history from now on."""
        nodes = self._profiles.members(one_id)
        for compiled in rules:
            theirs = [node for node in nodes if _key(compiled, node) in self._rows]
            if len(theirs) > 1:
                self.look(compiled, theirs[0].partition(SEPARATOR)[0], theirs)

    def ripe(self, key: str, compiled: Compiled | None) -> None:
        """Forgets a row in which nothing counts any more; looks again later where something does."""
        row = Row(*self._rows[key])
        newest = max((*(entry[0] for entry in row.entries), *row.marks), default=0)
        if compiled is not None and newest > self._horizon(compiled):
            self._timers.set(key, self._forgets(compiled, newest), 0, NOW)
        else:
            self._rows.drop(key)

    def __contains__(self, key: object) -> bool:
        return key in self._rows


def _entry(kept: Sequence[Any], node: str) -> Entry:
    time_ms, clause, event_id, value = kept
    return Entry(time_ms, clause, event_id, value, node)


def _most(compiled: Compiled) -> int:
    """How many entries of a node count; a high count needs more of them."""
    kind = compiled.rule.when.kind
    if isinstance(kind, kinds.Count) and not isinstance(kind, kinds.Total):
        return max(MOST, 2 * kind.at_least)
    return MOST


def _last_and_later(entries: Sequence[Any], since_ms: int) -> list[Any]:
    """What was reported since then, and the last report before."""
    before = max((one for one in entries if one[0] <= since_ms), default=None)
    return [*([before] if before is not None else []), *(one for one in entries if one[0] > since_ms)]


def _key(compiled: Compiled, node: str) -> str:
    return SEPARATOR.join((node.partition(SEPARATOR)[0], compiled.rule.rule, node))


def _of_what(compiled: Compiled) -> str:
    """What the entries of a row are of: of a sequence or an interval they say by number which event it was, of a sum
    what there was of one field."""
    name, kind = compiled.rule.when.name, compiled.rule.when.kind
    if isinstance(kind, kinds.Sequence | kinds.Interval):
        return " ".join((name, *(event for _, types, _ in kind.clauses for event in types)))
    if isinstance(kind, kinds.Total | kinds.Distinct | kinds.Threshold):
        return f"{name} {kind.value}"
    return name


def _span(compiled: Compiled) -> int:
    kind = compiled.rule.when.kind
    if isinstance(kind, kinds.Sequence | kinds.Count | kinds.Absence):
        return kind.within
    if isinstance(kind, kinds.Threshold):
        return LONGEST_MS
    return kind.at_most if isinstance(kind, kinds.Interval) else 0


def _value(kind: kinds.Kind, event: Mapping[str, Any]) -> str | int | None:
    """What the event brings to the count; None where it lacks the field, or a sum's is no whole number of 64 bits."""
    if not isinstance(kind, kinds.Total | kinds.Distinct | kinds.Threshold):
        return 1
    name, _, field = kind.value.partition(".")
    value = event[name].get(field) if field else event[name]
    if isinstance(kind, kinds.Distinct) or value is None:
        return value if value is None else str(value)
    try:
        number = int(value)
    except ValueError:
        return None
    return number if abs(number) < _TOO_MUCH else None


def _find(compiled: Compiled, entries: list[Entry], marks: list[int]) -> Iterator[Found]:
    kind = compiled.rule.when.kind
    if isinstance(kind, kinds.Sequence):
        yield from sequences(entries, marks, len(kind.steps), kind.within)
    elif isinstance(kind, kinds.Interval):
        yield from intervals(entries, marks, kind.at_least or 0, kind.at_most)
    elif isinstance(kind, kinds.Threshold):
        yield from levels(entries, marks, kind.at_least)
    elif isinstance(kind, kinds.Count):
        measure = SUM if isinstance(kind, kinds.Total) else DISTINCT if isinstance(kind, kinds.Distinct) else COUNT
        yield from crossings(entries, marks, measure, kind.at_least, kind.within)
