"""The time that a journal tells: how far every raw partition has been read, and so what can still come.

In: the frames of one shard, the source set. Out: marks, the clock of a group of sources, the furthest progress.
Never: the wall clock; a step back.

A raw partition has a mark (offsets below it are in) and a progress (nothing that comes later was received before it).
The clock of a group of topics is the least progress of its partitions, and 0 while one of them has not been heard of.
The group "" holds every topic that carries events.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from streams.journal.frame import Frame, Partition, RawRange
from streams.journal.tables import Tables

EVENT_TOPICS = "events.raw."
ALL = ""
"""The group of all topics that carry events. Other groups are topics joined by a comma."""

_NEVER = 1 << 62


class MissingRange(Exception):
    """The journal lacks raw offsets that no frame of this shard covered: state would be wrong, so the shard stops."""

    def __init__(self, gap: RawRange) -> None:
        super().__init__(
            f"raw offsets {gap.start} to {gap.end - 1} of {gap.topic}/{gap.partition} are missing in the journal"
        )
        self.gap = gap


class Clock:
    """Marks and progress of all raw partitions, as rows `topic/partition` → (mark, progress_ms, is member)."""

    def __init__(self, tables: Tables) -> None:
        self._rows = tables.table("clock")
        self._meta = tables.table("meta")
        self.now: int = self._meta.get("now", 0)
        self._groups: dict[str, int] = dict(self._meta.get("clocks", ((ALL, 0),)))
        self._inside: set[str] = set()
        self._span: dict[str, tuple[int, int]] = {}
        self._row_ms = 0

    def declare(self, members: Iterable[tuple[Partition, int]]) -> None:
        """Replaces the source set. A new member's mark is its start offset; one that left holds nobody any more."""
        self._keep()
        wanted = {_key(partition): start for partition, start in members}
        for key, (mark, progress, _) in list(self._rows.items()):
            self._rows.put(key, (mark, progress, key in wanted))
        for key, start in wanted.items():
            if key not in self._rows:
                self._rows.put(key, (start, 0, True))
        self._open()

    def watch(self, group: str) -> None:
        """Keeps a clock for this group from now on."""
        self._groups.setdefault(group, 0)
        self._open()

    def begin(self, frame: Frame) -> list[int]:
        """Opens a frame: the mark of each of its ranges, below which its rows are repeats.

        Raises:
            MissingRange: a range starts above its mark.
        """
        marks = [self._mark(part) for part in frame.ranges]
        self._inside = {_key(part.of) for part in frame.ranges}
        self._row_ms = 0
        self._open()
        return marks

    def _open(self) -> None:
        """Between what each group's clock moves while the frame's own partitions advance with its rows."""
        for group in self._groups:
            inside = self._least(group, lambda key: key in self._inside)
            outside = self._least(group, lambda key: key not in self._inside)
            self._span[group] = inside, outside

    def _keep(self) -> None:
        """Makes what the clocks show now what they can't go back behind."""
        self._groups = {group: self.of(group) for group in self._groups}

    def _mark(self, part: RawRange) -> int:
        row = self._rows.get(_key(part.of))
        mark: int = part.start if row is None else row[0]
        if part.start > mark:
            raise MissingRange(RawRange(part.topic, part.partition, mark, part.start))
        return mark

    def _least(self, group: str, wanted: Callable[[str], bool]) -> int:
        of_group = (row[1] for key, row in self._rows.items() if row[2] and _in(group, key) and wanted(key))
        return min(of_group, default=_NEVER)

    def row(self, received_ms: int) -> None:
        """A row of the open frame comes: all that its partitions received before it has been taken."""
        self._row_ms = max(self._row_ms, received_ms)
        self.now = max(self.now, received_ms)

    def end(self, frame: Frame) -> None:
        """Closes the frame: its ranges are in, and its progress holds."""
        self._keep()
        for part in frame.ranges:
            self._reach(part.of, mark=part.end, progress=self._row_ms)
        for progress in frame.progress:
            row = self._rows.get(_key(progress.of))
            if row is not None and row[0] >= progress.offset:
                self._reach(progress.of, mark=0, progress=progress.time_ms)
                self.now = max(self.now, progress.time_ms)
        self._inside.clear()
        self._open()
        self._keep()
        self._meta.put("now", self.now)
        self._meta.put("clocks", tuple(self._groups.items()))

    def _reach(self, partition: Partition, mark: int, progress: int) -> None:
        key = _key(partition)
        before = self._rows.get(key)
        old_mark, old_progress, member = before or (0, 0, False)
        reached = (max(old_mark, mark), max(old_progress, progress), member)
        if reached != before:
            self._rows.put(key, reached)

    def of(self, group: str) -> int:
        """The group's clock in milliseconds; 0 before every one of its partitions has been heard of."""
        before = self._groups[group]
        if group not in self._span:
            return before
        inside, outside = self._span[group]
        reached = min(max(inside, self._row_ms), outside)
        return before if reached == _NEVER else max(before, reached)

    def progress(self) -> dict[str, int]:
        """How far each member of the source set has been read, by `topic/partition`; 0 before it was heard of."""
        return {key: row[1] for key, row in self._rows.items() if row[2]}

    def groups(self) -> dict[str, list[str]]:
        """The members of each group that is kept a clock for."""
        return {group: [key for key in self.progress() if _in(group, key)] for group in self._groups}

    def marks(self) -> dict[str, int]:
        """The mark of each raw partition, by `topic/partition`."""
        return {key: row[0] for key, row in self._rows.items()}

    def behind(self, group: str, time_ms: int) -> tuple[str, ...]:
        """The sources of the group that have not been read past this time, without their prefix, by name.

        Empty where the group's clock has passed it; "*" where the source set has none of the group.
        """
        if self.of(group) > time_ms:
            return ()
        reached = {key: self._reached(key) for key in self.progress() if _in(group, key)}
        late = {key.rpartition("/")[0] for key, read_ms in reached.items() if read_ms <= time_ms}
        return tuple(sorted(topic.removeprefix(EVENT_TOPICS) for topic in late)) or ("*",)

    def _reached(self, key: str) -> int:
        """How far this member has been read, by the rows of the open frame too."""
        read_ms: int = self._rows[key][1]
        return max(read_ms, self._row_ms) if key in self._inside else read_ms

    def waiting_for(self, group: str) -> list[str]:
        """The partitions that hold the group's clock back, the slowest first."""
        members = [(row[1], key) for key, row in self._rows.items() if row[2] and _in(group, key)]
        return [key for _, key in sorted(members)]


def _key(partition: Partition) -> str:
    return f"{partition.topic}/{partition.partition}"


def _in(group: str, key: str) -> bool:
    topic = key.rpartition("/")[0]
    return topic.startswith(EVENT_TOPICS) if group == ALL else topic in group.split(",")
