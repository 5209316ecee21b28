"""The sink's work on one partition of resolved frames: write them as blocks, wait out a ClickHouse that is away.

In: resolved frames. Out: facts, once each. Never: a frame acknowledged before its block stands.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import msgpack

from schemas.frames import Resolved, decode_resolved
from sinks.batches import BlockSize
from sinks.sink import Sink, SinkUnavailable
from sinks.writer import BlockWriter, TablesRebuilt, Written
from streams.settings import Settings
from streams.topics import RESOLVED
from streams.worker.state.log import Log
from streams.worker.telemetry import Telemetry
from streams.worker.work import Abandoned, Item

log = logging.getLogger(__name__)

_PAUSE_S = 1.0
_TELL_EVERY_S = 60.0
_HEAD_BYTES = 64
T = TypeVar("T")


class WriteFacts:
    """`Work` of one shard. `lock` is shared by all shards of the process: a database takes one call at a time."""

    def __init__(
        self,
        shard: int,
        settings: Settings,
        database: Sink,
        lock: threading.Lock,
        telemetry: Telemetry,
        *,
        pause_s: float = _PAUSE_S,
    ) -> None:
        self._shard = shard
        self._lock = lock
        self._telemetry = telemetry
        self._writer = BlockWriter(database, shard, size=BlockSize(settings.sink.block_rows))
        self._stopping = threading.Event()
        self._resolved = Log(settings, RESOLVED, shard, self.number, begins_late=True)
        self._settings = settings
        self.pulse = 0
        self._waiting = Waiting(shard, telemetry)
        self._pause_s = pause_s

    @property
    def waits_for(self) -> str:
        """See `Work`."""
        return self._waiting.why

    def open(self) -> int:
        """Takes the shard over, and settles the block in doubt; the journal offset after the last block with rows."""
        return self._until_available(self._writer.position)

    def process(self, items: Sequence[Item]) -> None:
        """Writes what is new of these frames; all that comes before them too, where rebuilt tables lack it."""
        started = time.perf_counter()
        frames = [decode_resolved(item.value) for item in items]
        try:
            self._write(frames, started)
        except TablesRebuilt as rebuilt:
            self._catch_up(rebuilt, items[-1])
        progress_ms = max(frame.progress_ms for frame in frames)
        self._telemetry.set("siyu_progress_timestamp_seconds", progress_ms / 1000, shard=self._shard)
        lag_s = time.time() - progress_ms / 1000
        self._telemetry.set("siyu_lag_seconds", lag_s, topic=RESOLVED, partition=self._shard)

    def _write(self, frames: Sequence[Resolved], started: float) -> None:
        written = self._until_available(lambda: self._writer.write(frames))
        self._measure(written, time.perf_counter() - started)
        self.pulse += 1

    def _catch_up(self, rebuilt: TablesRebuilt, last: Item) -> None:
        """Takes over where rebuilt tables end, which may be behind the frames that were at hand."""
        position = self._until_available(self._writer.position)
        log.warning("%s: it goes on from journal offset %d", rebuilt, position)
        if position > self.number(last):
            return
        try:
            for batch in self.missed(position, last):
                self._write([decode_resolved(item.value) for item in batch], time.perf_counter())
        except TablesRebuilt as again:
            self._catch_up(again, last)

    def number(self, item: Item) -> int:
        """The journal's offset: each journal frame has its resolved frame, some of them again after an abort."""
        head = msgpack.Unpacker()
        head.feed(item.value[:_HEAD_BYTES])
        head.read_array_header()
        _version, _shard, offset = (head.unpack() for _ in range(3))
        return int(offset)

    def missed(self, wanted: int, last: Item) -> Iterator[Sequence[Item]]:
        """Reads these resolved frames, committed ones only."""
        return self._resolved.batches(wanted, last, self._settings.sink.block_bytes, self._stopping)

    def _measure(self, written: Written, seconds: float) -> None:
        for table, rows in written.tables.items():
            self._telemetry.count("siyu_sink_rows_total", rows, table=table)
            self._telemetry.count("siyu_sink_batches_total", written.blocks, table=table)
        self._telemetry.observe("siyu_sink_seconds", seconds)

    def _until_available(self, work: Callable[[], T]) -> T:
        def alone() -> T:
            with self._lock:
                return work()

        return until_available(alone, self._waiting, self._stopping, self._pause_s)

    def stop(self) -> None:
        """Gives up waiting for the sink."""
        self._stopping.set()

    def close(self) -> None:
        """The next owner tells from now on; the database belongs to the process, not to the shard."""
        for name in ("siyu_progress_timestamp_seconds", "siyu_sink_available"):
            self._telemetry.forget(name, shard=self._shard)


def until_available(work: Callable[[], T], waiting: Waiting, stopping: threading.Event, pause_s: float = _PAUSE_S) -> T:
    """What the work gives, as soon as the sink takes it. Raises Abandoned when it is to stop."""
    while not stopping.is_set():
        try:
            done = work()
            waiting.over()
            return done
        except SinkUnavailable as unavailable:
            waiting.on(unavailable)
            stopping.wait(pause_s)
    raise Abandoned


class Waiting:
    """What operators see of a sink that takes nothing: a gauge with the reason, and a line when something changes."""

    def __init__(self, shard: int | str, telemetry: Telemetry, clock: Callable[[], float] = time.monotonic) -> None:
        self._shard = shard
        self._telemetry = telemetry
        self._clock = clock
        self._why: str | None = None  # "" while it is available
        self.why = ""
        """What it waits for, as a sentence; empty while it does not."""
        self._since = self._told = 0.0
        self._tries = 0

    def on(self, unavailable: SinkUnavailable) -> None:
        """A try failed; it is logged when it is the first, has another reason, or a minute has passed."""
        now = self._clock()
        self._telemetry.count("siyu_sink_retries_total", reason=unavailable.why)
        if not self._why:
            self._since, self._tries = now, 0
        self._tries += 1
        if unavailable.why == self._why and now - self._told < _TELL_EVERY_S:
            return
        self._told = now
        self.why = f"ClickHouse: {unavailable}"
        self._show(0, unavailable.why)
        numbers = (unavailable.why, self._tries, now - self._since)
        log.warning("shard %s waits for the sink (%s, try %d after %.0f s): %s", self._shard, *numbers, unavailable)

    def over(self) -> None:
        """The sink took it."""
        if self._why:
            waited_s = self._clock() - self._since
            log.warning("shard %s: the sink is back, after %.0f s and %d tries", self._shard, waited_s, self._tries)
        if self._why != "":
            self.why = ""
            self._show(1, "")

    def _show(self, available: int, why: str) -> None:
        self._why = why
        self._telemetry.forget("siyu_sink_available", shard=self._shard)
        self._telemetry.set("siyu_sink_available", available, shard=self._shard, reason=why)
