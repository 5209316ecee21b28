"""Events one after another within a time.

In: entries by step, marks. Out: the sequences that are newly complete. Never: state.

The same millisecond is after, and a distance of exactly T is within. Of several ways to complete it the one that is
complete first counts, and of these the one that began last. What came up to the end of a match is used up: the next one
begins later. So two first steps and one second are one match.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from streams.rules.history import Entries, Entry, Found


def sequences(entries: Entries, marks: Iterable[int], steps: int, within_ms: int) -> Iterator[Found]:
    """Complete sequences after the last mark, each of entries of clauses 0 to `steps` - 1; their mark is their end."""
    used_ms = max(marks, default=-1)
    begun: dict[int, tuple[Entry, ...]] = {}
    for entry in sorted(entries):
        if entry.time_ms <= used_ms:
            continue
        chain = _longer(begun.get(entry.clause - 1), entry, within_ms)
        if chain is None:
            continue
        if entry.clause == steps - 1:
            used_ms = entry.time_ms
            begun.clear()
            yield Found(chain[0], entry.time_ms, tuple(one.event_id for one in chain), entry.time_ms)
        elif entry.clause not in begun or begun[entry.clause][0].time_ms < chain[0].time_ms:
            begun[entry.clause] = chain


def _longer(before: tuple[Entry, ...] | None, entry: Entry, within_ms: int) -> tuple[Entry, ...] | None:
    """The sequence with one step more, if it can be: a later beginning is always the better one."""
    if entry.clause == 0:
        return (entry,)
    if before is None or entry.time_ms - before[0].time_ms > within_ms:
        return None
    return (*before, entry)
