"""When a value that is reported now and then has come to a threshold.

In: entries that report it, marks. Out: the crossings that are new. Never: state.

The value at t is what the last report up to t said, of several in one millisecond the last by id; before the first it
is below. As long as it stays there, it has crossed once, whatever comes late.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from streams.rules.history import Entries, Entry, Found

_NEVER = 1 << 62


def levels(entries: Entries, marks: Iterable[int], at_least: int) -> Iterator[Found]:
    """Crossings that have no mark while the value stays there; their mark is their time."""
    marked = list(marks)
    for entry, end_ms in _stays(entries, at_least):
        if not any(entry.time_ms <= mark < end_ms for mark in marked):
            yield Found(entry, entry.time_ms, (entry.event_id,), entry.time_ms)


def _stays(entries: Entries, at_least: int) -> Iterator[tuple[Entry, int]]:
    """Each report with which the value came there, and when it was below again."""
    told = {entry.time_ms: entry for entry in sorted(entries)}
    began: Entry | None = None
    for entry in told.values():
        if int(entry.value) >= at_least:
            began = began or entry
        elif began is not None:
            yield began, entry.time_ms
            began = None
    if began is not None:
        yield began, _NEVER
