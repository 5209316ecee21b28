"""Merges the raw partitions of one worker into the order in which their records were received.

In: records by partition, news of partitions that are at their end, the wall time of each cut.
Out: cuts: what can be taken now, in the order (time, topic, partition, offset), whatever came in which chunk.
Never: reads a clock; looks into a record.

How far a cut may go. Of each partition we know that nothing more will come before the time it has reached. Something
may still come AT that time. So the partition that is least by (time reached, name) sets the frontier: at its time,
records of partitions up to it in name order are taken, and those of later ones wait, since a record of it could still
stand before them. Then every cut continues one total order, and after a row received at t nothing of the cut's
partitions comes later that was received before t: the promise of a journal frame.

A partition that gave neither a record nor news for the patience (counted in wall time from the moment it had nothing
left to take) holds nobody any more and leaves the ranges. When it speaks again it is in again, its records come
with their own, older times, and the others wait until it has caught up.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import NamedTuple

from streams.ingest.backlog import Backlog
from streams.ingest.record import PARTITION_OF, TIME_OF, RawRecord
from streams.journal.frame import Partition, Progress, RawRange


class Cut(NamedTuple):
    """Records in (time, topic, partition, offset) order, heartbeats included.

    `ranges` holds every partition that has a say, each contiguous with its range in the cut before; `progress` is
    true after the last record, and no later record of these partitions is received before it. `fetched_ms` is the
    wall time at which the oldest record was read (the cut's own where that is not known).
    """

    records: list[RawRecord]
    ranges: tuple[RawRange, ...]
    progress: tuple[Progress, ...]
    fetched_ms: int


class Aligner:
    """Holds what was read and not yet cut. Not thread-safe."""

    def __init__(self, patience_ms: int, max_records: int) -> None:
        """`max_records`: buffered records of a partition above which reading it should pause."""
        self._patience_ms = patience_ms
        self._max_records = max_records
        self._backlogs: dict[tuple[str, int], Backlog] = {}

    def assign(self, partition: Partition, position: int, reached_ms: int = 0) -> None:
        """Starts (or starts again) a partition at this offset.

        `reached_ms` is the receive time that it had reached there, where it is remembered: so that times still never
        fall if timestamps do.
        """
        self._backlogs[partition] = Backlog(partition, position, reached_ms)
        self._backlogs = dict(sorted(self._backlogs.items()))

    def revoke(self, partition: Partition) -> None:
        """Forgets a partition and what it holds; its next owner reads that again."""
        self._backlogs.pop(partition, None)

    def add(self, records: Iterable[RawRecord], fetched_ms: int = 0) -> None:
        """Takes in what was read, each partition in offset order; records of partitions not assigned are ignored.

        Raises:
            ValueError: an offset below what was read already.
        """
        groups: dict[tuple[str, int], list[RawRecord]] = {}
        for record in records:
            groups.setdefault(PARTITION_OF(record), []).append(record)
        for partition, group in groups.items():
            if partition in self._backlogs:
                self._backlogs[partition].add(group, fetched_ms)

    def idle(self, partition: Partition, offset: int, time_ms: int) -> None:
        """The wall said `time_ms`, THEN the partition's end was asked, and it was `offset`, where reading stands.

        Call it after `add` of all that was read: offsets below `offset` that did not come are gaps.
        """
        if partition in self._backlogs:
            self._backlogs[partition].idle(offset, time_ms)

    def paused(self) -> set[Partition]:
        """The partitions that hold more than `max_records` records."""
        return {part.partition for part in self._backlogs.values() if len(part.records) > self._max_records}

    def cut(self, wall_ms: int, limit: int) -> Cut | None:
        """At most `limit` (at least 1) records that can be taken at `wall_ms`; None where nothing is new.

        A cut without records moves offsets or progress only.
        """
        present = [part for part in self._backlogs.values() if part.present(wall_ms, self._patience_ms)]
        if not present:
            return None
        before = [part.start for part in present]
        records = _merged(present, limit)
        fetched_ms = _take(present, records) or wall_ms
        ranges = tuple(
            RawRange(*part.partition, start, part.start) for part, start in zip(present, before, strict=True)
        )
        moved = _promise(present) or any(part.start != part.end for part in ranges)
        return Cut(records, ranges, _progress(present), fetched_ms) if moved else None


def _merged(present: Sequence[Backlog], limit: int) -> list[RawRecord]:
    frontier = min((part.reached_ms, part.partition) for part in present)
    runs = [part.upto(frontier, limit) for part in present]
    # Partitions stand in name order and each run in offset order: a stable sort by time is the whole order.
    return sorted(chain.from_iterable(runs), key=TIME_OF)[:limit]


def _take(present: Sequence[Backlog], records: Sequence[RawRecord]) -> int:
    counts = Counter(map(PARTITION_OF, records))
    fetched = [part.take(counts[part.partition]) for part in present]
    return min(filter(None, fetched), default=0)


def _promise(present: Sequence[Backlog]) -> bool:
    """Raises what each partition has promised to the least time that can still come; tells whether any rose."""
    safe_ms = min(part.next_ms for part in present)
    late = [part for part in present if part.promised_ms < safe_ms]
    for part in late:
        part.promised_ms = safe_ms
    return bool(late)


def _progress(present: Sequence[Backlog]) -> tuple[Progress, ...]:
    return tuple(Progress(*part.partition, part.start, part.promised_ms) for part in present)
