"""How many, how much, or how many different in a sliding window, and when that crosses a threshold.

In: entries, marks. Out: the crossings that are new. Never: state.

The value at t is that of the entries in (t - W, t]. It crosses at a millisecond in which it has reached the threshold
while it was below it one millisecond before: so what leaves and enters in the same millisecond changes nothing, unless
the value really was below. As long as it stays there, it has crossed once, whatever comes late.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator

from streams.rules.history import Entries, Entry, Found

COUNT, SUM, DISTINCT = "count", "sum", "distinct"
_SHOWN = 20
"""How many events are named as the cause, the last ones."""


def crossings(entries: Entries, marks: Iterable[int], measure: str, at_least: int, within_ms: int) -> Iterator[Found]:
    """Crossings that have no mark while the value stays there; their mark is their time.

    Where something negative that left brought the value there, the first entry that comes meanwhile shows it.
    """
    ordered = sorted(entries)
    marked = sorted(marks)
    for start, end in _excursions(ordered, measure, at_least, within_ms):
        at_mark = bisect_left(marked, start)
        if at_mark < len(marked) and marked[at_mark] < end:
            continue
        first = bisect_left(ordered, start, key=_time)
        if first < len(ordered) and ordered[first].time_ms < end:
            anchor = ordered[first]
            at = anchor.time_ms
            inside = ordered[bisect_right(ordered, at - within_ms, key=_time) : bisect_right(ordered, at, key=_time)]
            yield Found(anchor, at, tuple(entry.event_id for entry in inside[-_SHOWN:]), at)


def _time(entry: Entry) -> int:
    return entry.time_ms


def _excursions(ordered: list[Entry], measure: str, at_least: int, within_ms: int) -> Iterator[tuple[int, int]]:
    """Spans [start, end) in which the value is at least that."""
    value = _Value(measure)
    start: int | None = None
    entering, leaving = 0, 0
    while leaving < len(ordered):
        now_ms = ordered[leaving].time_ms + within_ms
        if entering < len(ordered):
            now_ms = min(now_ms, ordered[entering].time_ms)
        while leaving < len(ordered) and ordered[leaving].time_ms + within_ms <= now_ms:
            value.change(ordered[leaving], -1)
            leaving += 1
        while entering < len(ordered) and ordered[entering].time_ms <= now_ms:
            value.change(ordered[entering], 1)
            entering += 1
        if value.now >= at_least and start is None:
            start = now_ms
        elif value.now < at_least and start is not None:
            yield start, now_ms
            start = None


class _Value:
    def __init__(self, measure: str) -> None:
        self._measure = measure
        self._there: Counter[str | int] = Counter()
        self.now = 0

    def change(self, entry: Entry, by: int) -> None:
        """An entry enters (1) or leaves (-1)."""
        if self._measure == DISTINCT:
            before = self._there[entry.value]
            self._there[entry.value] += by
            self.now += (self._there[entry.value] > 0) - (before > 0)
        else:
            self.now += by * (int(entry.value) if self._measure == SUM else 1)
