"""How long a worker has made no progress though there is some to make; no clock, no broker.

In: looks from outside: where it stands, what the group committed, where the ends are. Out: sentences, with seconds.
Never: time counted in which nobody looked, or in which the broker did not answer.

A partition gets on when its offset or pulse changes. It is at rest, not stuck, where its end is reached, where it waits
for something outside of the process, and where it was halted, since it says so by itself. Opening has a limit of its
own, since restoring may take long.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from streams.journal.frame import Partition
from streams.worker.standing import Standing, State

OPENING_S = 1_800.0
REBALANCE_S = 60.0
_AT_REST = (State.WAITING, State.HALTED)


class Look(NamedTuple):
    """What was seen, `passed_s` after the look before. `standings` is None while it waits to be told its partitions."""

    passed_s: float
    turned_s: float
    standings: Mapping[Partition, Standing] | None
    committed: Mapping[Partition, int]
    ends: Mapping[Partition, int]

    def at(self, part: Partition) -> int:
        """The offset below which everything of the partition is safe; 0 where nothing is."""
        standing = (self.standings or {}).get(part)
        return max(0, standing.offset if standing else 0, self.committed.get(part, 0))

    def lag(self, part: Partition) -> int | None:
        """Offsets between there and its end; None where the end is not known."""
        return max(0, self.ends[part] - self.at(part)) if part in self.ends else None


class Stall(NamedTuple):
    """No progress for `seconds`, of which `limit_s` are allowed; `part` where it is a partition's."""

    seconds: float
    limit_s: float
    sentence: str
    part: Partition | None = None


@dataclass(slots=True)
class _Still:
    """Something that should change now and then."""

    seen: object = None
    seconds: float = 0.0

    def look(self, seen: object, passed_s: float, at_rest: bool = False) -> None:
        self.seconds = 0.0 if at_rest or seen != self.seen else self.seconds + passed_s
        self.seen = seen


@dataclass
class Stalls:
    """What does not move, by the looks so far. `limit_s`: how long that is allowed."""

    limit_s: float
    _last: Look | None = None
    _loop: _Still = field(default_factory=_Still)
    _untold: _Still = field(default_factory=_Still)
    _parts: dict[Partition, _Still] = field(default_factory=dict)

    def look(self, look: Look) -> None:
        """Takes a look in."""
        self._last = look
        self._loop.look(look.turned_s, look.passed_s, not look.turned_s)
        self._untold.look(None, look.passed_s, look.standings is not None)
        standings = look.standings or {}
        self._parts = {part: self._parts.get(part, _Still()) for part in standings}
        for part, standing in standings.items():
            at_rest = standing.state in _AT_REST or not look.lag(part)
            moved = standing.state is State.OPENING, look.at(part), standing.pulse
            self._parts[part].look(moved, look.passed_s, at_rest)

    def forget(self) -> None:
        """Begins anew: nobody can be blamed for the time before."""
        self._loop, self._untold, self._parts = _Still(), _Still(), {}

    def acquit(self, part: Partition) -> None:
        """There is nothing to read there: what lies between it and its end are no records."""
        self._parts[part].seconds = 0.0

    def stalled_s(self) -> dict[Partition, float]:
        """Seconds without progress of each partition."""
        return {part: still.seconds for part, still in self._parts.items()}

    def longer_than(self, share: float) -> list[Stall]:
        """What has not moved for this share of its limit."""
        return [stall for stall in self._all() if stall.seconds >= share * stall.limit_s > 0]

    def _all(self) -> Iterator[Stall]:
        loop, untold = self._loop.seconds, self._untold.seconds
        yield Stall(loop, self.limit_s, f"its loop has not gone round for {loop:.0f} s")
        joining_s = self.limit_s + REBALANCE_S if self.limit_s else 0.0
        yield Stall(untold, joining_s, f"it has waited {untold:.0f} s to be told its partitions")
        for part, still in self._parts.items():
            yield self._of(part, still.seconds)

    def _of(self, part: Partition, seconds: float) -> Stall:
        assert self._last is not None
        assert self._last.standings is not None
        opening = self._last.standings[part].state is State.OPENING
        at, end = self._last.at(part), self._last.ends.get(part)
        does = "is opening" if opening else "makes no progress"
        said = f"{part.topic}/{part.partition} {does}: it stands at offset {at} for {seconds:.0f} s, its end is {end}"
        limit_s = max(OPENING_S, self.limit_s) if opening and self.limit_s else self.limit_s
        return Stall(seconds, limit_s, said, part)
