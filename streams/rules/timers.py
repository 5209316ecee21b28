"""What is due when the clock has passed a time.

In: times by key, each on the clock of a group of sources. Out: the keys that are due, in the settled order.
Never: a clock of its own.

A timer at t is due when its group's clock has passed t: records at that very time may still come. Those of the group
NOW are on delivery's now, the furthest progress of any source, and due as soon as it has reached t. Those of a patient
group are on the group's clock, and due at the latest when delivery's now has reached t and that long.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heapify, heappop, heappush

from streams.journal.clock import Clock
from streams.journal.tables import Tables

NOW = "now"
_PATIENCE = "+"
_NEVER = 1 << 62


def patient(group: str, patience_ms: int | None) -> str:
    """This group for timers that wait no longer than this for its sources; None: as long as it takes."""
    return group if patience_ms is None else f"{group}{_PATIENCE}{patience_ms}"


class Timers:
    """Rows key → (due_ms, priority, group); one timer a key, the last one set counts."""

    def __init__(self, tables: Tables) -> None:
        self._rows = tables.table("timers")
        self._heaps: dict[str, list[tuple[int, int, str]]] = {}
        for key, (due, priority, group) in self._rows.items():
            self._heaps.setdefault(group, []).append((due, priority, key))
        for heap in self._heaps.values():
            heapify(heap)
        self.next_ms = self._next()
        """Nothing is due before the clock has passed this."""

    def set(self, key: str, due_ms: int, priority: int, group: str) -> None:
        """Sets the key's timer, in place of one that it had."""
        if self._rows.get(key) == (due_ms, priority, group):
            return
        self._rows.put(key, (due_ms, priority, group))
        heappush(self._heaps.setdefault(group, []), (due_ms, priority, key))
        self.next_ms = min(self.next_ms, due_ms - (group == NOW))

    def drop(self, key: str) -> None:
        """Takes the key's timer back."""
        self._rows.drop(key)

    def __contains__(self, key: object) -> bool:
        return key in self._rows

    def _next(self) -> int:
        return min((heap[0][0] - (group == NOW) for group, heap in self._heaps.items() if heap), default=_NEVER)

    def due(self, clock: Clock) -> Iterator[str]:
        """Takes out the keys that are due, in the order (due, priority, key), until nothing is.

        What is set meanwhile takes its place in that order: so it doesn't matter how far the clock went in one step.
        """
        while (group := self._first(clock)) is not None:
            due, priority, key = heappop(self._heaps[group])
            if self._rows.get(key) == (due, priority, group):  # one that was set anew stands there more than once
                self._rows.drop(key)
                yield key
        self.next_ms = self._next()

    def _first(self, clock: Clock) -> str | None:
        """The group whose first timer is due before all others; None where none is due."""
        heads = ((heap[0], group) for group, heap in self._heaps.items() if heap)
        return min(((head, group) for head, group in heads if head[0] < _passed(clock, group)), default=(None, None))[1]

    def before(self, group: str, time_ms: int) -> Iterator[tuple[int, str]]:
        """Due time and key of the group's timers that are due before this time, in no order; looks at no others."""
        for name in self._heaps:
            if name.partition(_PATIENCE)[0] == group:
                yield from self._before(name, time_ms)

    def _before(self, group: str, time_ms: int) -> Iterator[tuple[int, str]]:
        heap = self._heaps[group]
        ahead = [0]
        while ahead:
            at = ahead.pop()
            if at < len(heap) and heap[at][0] < time_ms:
                due, priority, key = heap[at]
                if self._rows.get(key) == (due, priority, group):
                    yield due, key
                ahead += (2 * at + 1, 2 * at + 2)

    def __len__(self) -> int:
        return len(self._rows)


def _passed(clock: Clock, group: str) -> int:
    """What is due before this time is due."""
    if group == NOW:
        return clock.now + 1
    sources, _, patience = group.partition(_PATIENCE)
    return max(clock.of(sources), clock.now + 1 - int(patience)) if patience else clock.of(group)
