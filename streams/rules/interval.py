"""The time between two events: how long somebody stayed, how soon somebody came back.

In: entries of a beginning (clause 0) and an end (clause 1), marks. Out: intervals that are new. Never: state.

An end belongs to the nearest beginning before it; the same millisecond is before. A beginning has one end, the first. A
distance of exactly the bound is within.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from streams.rules.history import Entries, Entry, Found


def intervals(entries: Entries, marks: Collection[int], at_least_ms: int, at_most_ms: int) -> Iterator[Found]:
    """Intervals whose length is within the bounds and whose beginning has no mark; their mark is their beginning."""
    begun: Entry | None = None
    for entry in sorted(entries):
        if entry.clause == 0:
            begun = entry if begun is None or entry.time_ms > begun.time_ms else begun
        elif begun is not None:
            length = entry.time_ms - begun.time_ms
            if at_least_ms <= length <= at_most_ms and begun.time_ms not in marks:
                yield Found(begun, entry.time_ms, (begun.event_id, entry.event_id), begun.time_ms)
            begun = None
