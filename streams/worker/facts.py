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

from schemas.frames import decode_resolved
from sinks.batches import BlockSize
from sinks.sink import Database, SinkUnavailable
from sinks.writer import BlockWriter, Written
from streams.settings import Settings
from streams.topics import RESOLVED
from streams.worker.lane import Abandoned, Item
from streams.worker.state.log import Log
from streams.worker.telemetry import Telemetry

log = logging.getLogger(__name__)

_PAUSE_S = 1.0
_HEAD_BYTES = 64
T = TypeVar("T")


class WriteFacts:
    """`Work` of one shard. `lock` is shared by all shards of the process: a database takes one call at a time."""

    def __init__(
        self, shard: int, settings: Settings, database: Database, lock: threading.Lock, telemetry: Telemetry
    ) -> None:
        self._shard = shard
        self._lock = lock
        self._telemetry = telemetry
        self._writer = BlockWriter(database, shard, size=BlockSize(settings.sink.block_rows))
        self._stopping = threading.Event()
        self._resolved = Log(settings, RESOLVED, shard, self.number, begins_late=True)
        self._settings = settings
        self.waits_for = ""
        self.pulse = 0

    def open(self) -> int:
        """Takes the shard over, and settles the block in doubt; the journal offset after the last block with rows."""
        return self._until_available(self._writer.position)

    def process(self, items: Sequence[Item]) -> None:
        """Writes what is new of these frames."""
        frames = [decode_resolved(item.value) for item in items]
        started = time.perf_counter()
        written = self._until_available(lambda: self._writer.write(frames))
        self._measure(written, time.perf_counter() - started)
        progress_ms = max(frame.progress_ms for frame in frames)
        self._telemetry.set("siyu_progress_timestamp_seconds", progress_ms / 1000, shard=self._shard)
        lag_s = time.time() - progress_ms / 1000
        self._telemetry.set("siyu_lag_seconds", lag_s, topic=RESOLVED, partition=self._shard)

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
        while not self._stopping.is_set():
            try:
                with self._lock:
                    done = work()
                self._telemetry.set("siyu_sink_available", 1)
                self.waits_for = ""
                return done
            except SinkUnavailable as error:
                log.warning("shard %d waits for the sink: %s", self._shard, error)
                self.waits_for = f"ClickHouse: {error}"
                self._telemetry.count("siyu_sink_retries_total", reason="unavailable")
                self._telemetry.set("siyu_sink_available", 0)
                self._stopping.wait(_PAUSE_S)
        raise Abandoned

    def stop(self) -> None:
        """Gives up waiting for the sink."""
        self._stopping.set()

    def close(self) -> None:
        """The next owner tells from now on; the database belongs to the process, not to the shard."""
        self._telemetry.forget("siyu_progress_timestamp_seconds", shard=self._shard)
