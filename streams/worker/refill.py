"""Fresh tables filled from the log, shard after shard, until they are as far as the live ones.

In: a plan, the log, a database. Out: how far it is. Never: a live table changed; a wait for a database for ever.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from schemas.frames import Resolved
from sinks import ledger
from sinks.batches import BlockSize
from sinks.rebuild import Rebuild
from sinks.sink import Database, SinkUnavailable
from sinks.writer import BlockWriter
from streams.settings import Settings
from streams.worker.shardlog import Held, ShardLog

_AGAIN_S = 1.0
_PATIENCE_S = 300.0
T = TypeVar("T")


class NotReplayed(Exception):
    """It could not be done, and the live tables are as they were; the message is a sentence."""


@dataclass(frozen=True, slots=True)
class Part:
    """What is to be done with a shard: rows from `start` on come from the topic `source`, `kept` blocks stay."""

    shard: int
    start: int
    source: str
    kept: int
    live: int


@dataclass(frozen=True, slots=True)
class Progress:
    """A shard is rebuilt up to this journal offset."""

    shard: int
    position: int
    rows: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What would be done, shard by shard."""

    parts: Sequence[Part]
    holds: Mapping[int, Held] = field(repr=False)
    firsts: Mapping[int, int] = field(repr=False)


class Refill:
    """Fills the fresh tables, shard after shard, then what came to the log meanwhile."""

    def __init__(
        self, settings: Settings, live: Database, building: Rebuild, planned: Plan, stopping: threading.Event
    ) -> None:
        self._live = live
        self._building = building
        self._parts = planned.parts
        self._stopping = stopping
        self._size = BlockSize(settings.sink.block_rows, settings.sink.block_bytes)
        self._writers: dict[int, BlockWriter] = {}
        self._logs = {
            part.shard: ShardLog(settings, planned.holds[part.shard], part.start, planned.firsts[part.shard])
            for part in planned.parts
            if part.source
        }
        self.rows: Counter[str] = Counter()
        """Written, by table."""

    def build(self) -> Iterator[Progress]:
        """Up to where the live tables are."""
        self._building.begin({part.shard: part.start for part in self._parts})
        for shard in self._logs:
            self._writers[shard] = self._building.writer(shard, self._size)
            yield from self._write(shard)
        while behind := [shard for shard in self._logs if self._position(shard) < ledger.position(self._live, shard)]:
            for shard in behind:
                yield from self._caught_up(shard)

    def _caught_up(self, shard: int) -> Iterator[Progress]:
        moved = list(self._write(shard))
        if not moved:
            live, here = ledger.position(self._live, shard), self._position(shard)
            said = f"the live tables of shard {shard} reach to journal offset {live}, the log only to {here}"
            raise NotReplayed(f"{said}: is it another log?")
        yield from moved

    def _write(self, shard: int) -> Iterator[Progress]:
        for frames in self._chunks(self._logs[shard].frames()):
            written = self.patiently(lambda: self._writers[shard].write(frames))  # noqa: B023 called before the next
            self.rows += Counter(written.tables)
            yield Progress(shard, self._position(shard), self.rows.total())

    def _chunks(self, frames: Iterator[Resolved]) -> Iterator[list[Resolved]]:
        chunk: list[Resolved] = []
        rows = size = 0
        for frame in frames:
            if self._stopping.is_set():
                raise NotReplayed("it was told to stop; the live tables are as they were")
            chunk.append(frame)
            rows += sum(batch.num_rows for batch in frame.tables.values())
            size += sum(batch.nbytes for batch in frame.tables.values())
            if rows >= self._size.rows or size >= self._size.bytes:
                yield chunk
                chunk, rows, size = [], 0, 0
        if chunk:
            yield chunk

    def _position(self, shard: int) -> int:
        return self.patiently(self._writers[shard].position)

    def patiently(self, work: Callable[[], T]) -> T:
        """What it answers, as soon as the database does."""
        gives_up = time.monotonic() + _PATIENCE_S
        while True:
            try:
                return work()
            except SinkUnavailable:
                if time.monotonic() > gives_up or self._stopping.wait(_AGAIN_S):
                    raise
