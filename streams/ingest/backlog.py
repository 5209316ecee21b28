"""What one raw partition has delivered and no cut has taken yet.

In: records of one partition in offset order, news that its end was reached. Out: the records that come next.
Never: a look at other partitions (see `align`); a receive time that falls.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Sequence
from itertools import accumulate, islice
from operator import le

from streams.ingest.record import OFFSET_OF, TIME_OF, RawRecord
from streams.journal.frame import Partition


class Backlog:
    """Records of a partition between `start` (the first offset not yet taken) and `position` (the next to be read).

    `reached_ms`: nothing that is read from now on is received before it. `promised_ms`: the progress already told.
    """

    def __init__(self, partition: Partition, position: int, reached_ms: int = 0) -> None:
        self.partition = partition
        self.start = self.position = position
        self.reached_ms = self.promised_ms = reached_ms
        self.records: list[RawRecord] = []
        self._fetches: deque[tuple[int, int]] = deque()
        self._news = False
        self._heard_ms: int | None = None

    def add(self, records: Sequence[RawRecord], fetched_ms: int) -> None:
        """Appends what was read; a time below the highest so far is raised to it.

        Raises:
            ValueError: an offset that was read already: a fault of ours, never the data's.
        """
        self._refuse_disorder(records)
        self.records += _raised(records, self.reached_ms)
        self.reached_ms = self.records[-1].time_ms
        self.position = self.records[-1].offset + 1
        self._fetches.append((self.position, fetched_ms))
        self._news = True

    def _refuse_disorder(self, records: Sequence[RawRecord]) -> None:
        wanted = self.position
        for offset in map(OFFSET_OF, records):
            if offset < wanted:
                raise ValueError(
                    f"{self.partition.topic}/{self.partition.partition} gave offset {offset}, "
                    f"but everything below {wanted} was read already"
                )
            wanted = offset + 1

    def idle(self, offset: int, time_ms: int) -> None:
        """Nothing stands at or after `offset`, and what comes is received at `time_ms` or later.

        News of an offset below the position is stale, and dropped.
        """
        if offset < self.position:
            return
        self.position = offset
        self.reached_ms = max(self.reached_ms, time_ms)
        self._news = True

    def present(self, wall_ms: int, patience_ms: int) -> bool:
        """Whether it has a say in the cut at `wall_ms`: it holds records, or was heard of within `patience_ms`."""
        if self._news or self.records or self._heard_ms is None:
            self._news, self._heard_ms = False, wall_ms
            return True
        return wall_ms - self._heard_ms < patience_ms

    def upto(self, frontier: tuple[int, Partition], limit: int) -> list[RawRecord]:
        """The first `limit` records that stand no later than `frontier` in the order (time, partition)."""
        time_ms, partition = frontier
        bisect = bisect_right if self.partition <= partition else bisect_left
        return self.records[: min(limit, bisect(self.records, time_ms, key=TIME_OF))]

    def take(self, count: int) -> int:
        """Gives up its first `count` records; returns when the first of them was fetched (0: none was)."""
        if not count:
            self.start = self.next_offset
            return 0
        fetched_ms = self._fetched(self.records[0].offset)
        del self.records[:count]
        self.start = self.next_offset
        return fetched_ms

    def _fetched(self, offset: int) -> int:
        while self._fetches[0][0] <= offset:
            self._fetches.popleft()
        return self._fetches[0][1]

    @property
    def next_offset(self) -> int:
        """The offset of the next record that a cut could take; the position where there is none."""
        return self.records[0].offset if self.records else self.position

    @property
    def next_ms(self) -> int:
        """Nothing that a later cut takes was received before this time."""
        return self.records[0].time_ms if self.records else self.reached_ms


def _raised(records: Sequence[RawRecord], floor_ms: int) -> Sequence[RawRecord]:
    """The records with each time raised to the highest before it (at least `floor_ms`); most often as they are."""
    times = [floor_ms, *map(TIME_OF, records)]
    if all(map(le, times, islice(times, 1, None))):
        return records
    highest = islice(accumulate(times, max), 1, None)
    return [
        record if record.time_ms == time_ms else record._replace(time_ms=time_ms)
        for record, time_ms in zip(records, highest, strict=True)
    ]
