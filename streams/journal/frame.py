"""What a journal record is: a frame of raw records of one shard, in the order in which the engine takes them.

In: columns of accepted events, and entries (commands, controls, receipts, refusals). Out: bytes, and back.
Never: a decision about what they mean; a clock.

A frame draws on raw partitions. For each it names the contiguous range of raw offsets that it covers, also where none
of them holds an event of this shard, so that the engine can tell a repeat from a gap. Three promises make a frame more
than a batch:

- rows and entries stand in receive order (`received_ms` never falls), whichever partition they came from;
- after a row received at t, every partition of the frame has been read up to t. So each row is progress;
- `progress` holds after the last row: "everything below this offset is in, and nothing that comes later was received
  before that time".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import msgpack
import pyarrow as pa

from schemas.columns import EVENTS, IDS
from schemas.frames import pack_batch, unpack_batch

_VERSION = 1


class Partition(NamedTuple):
    """A raw partition."""

    topic: str
    partition: int


class RawRange(NamedTuple):
    """Raw offsets [start, end) of one raw partition; empty where start equals end."""

    topic: str
    partition: int
    start: int
    end: int

    @property
    def of(self) -> Partition:
        """The raw partition that it is a range of."""
        return Partition(self.topic, self.partition)


class Progress(NamedTuple):
    """All records of the partition below `offset` are in, and none after them was received before `time_ms`."""

    topic: str
    partition: int
    offset: int
    time_ms: int

    @property
    def of(self) -> Partition:
        """The raw partition whose progress it is."""
        return Partition(self.topic, self.partition)


REFUSAL = "refusal"


class Entry(NamedTuple):
    """A raw record that is no event: `kind` is command, control or receipt, and `record` its decoded fields.

    Or a record that ingest refused: `kind` is REFUSAL, `record` the dead letter.

    It stands before event row `at` (`at` may be the number of rows); `source` is the index of its range.
    """

    at: int
    kind: str
    source: int
    raw_offset: int
    received_ms: int
    record: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Frame:
    """One journal record. `events` has the columns EVENTS, `ids` the columns IDS of `schemas.columns`.

    `fetched_ms` is the wall clock at which ingest read its oldest record: for latency metrics, unseen by the core.
    """

    ranges: tuple[RawRange, ...]
    events: pa.RecordBatch
    ids: pa.RecordBatch
    entries: tuple[Entry, ...] = ()
    progress: tuple[Progress, ...] = ()
    fetched_ms: int = 0


@cache
def no_events() -> pa.RecordBatch:
    """An empty batch of events."""
    return _empty(EVENTS)


@cache
def no_ids() -> pa.RecordBatch:
    """An empty batch of ids."""
    return _empty(IDS)


def _empty(schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([], schema=schema)


def encode_frame(frame: Frame) -> bytes:
    """The frame as bytes: a MessagePack list; each batch an Arrow IPC stream, nothing where it has no rows."""
    events = pack_batch(frame.events) if frame.events.num_rows else b""
    ids = pack_batch(frame.ids) if frame.ids.num_rows else b""
    entries = [tuple(entry) for entry in frame.entries]
    parts = [_VERSION, frame.fetched_ms, frame.ranges, frame.progress, entries, events, ids]
    packed: bytes = msgpack.packb(parts)
    return packed


def decode_frame(packed: bytes) -> Frame:
    """The frame of these bytes.

    Raises:
        ValueError: the bytes are of a version that this code does not know.
    """
    version, fetched_ms, ranges, progress, entries, events, ids = msgpack.unpackb(packed, use_list=False)
    if version != _VERSION:
        raise ValueError(f"journal frame of version {version}, this worker reads version {_VERSION}")
    return Frame(
        ranges=tuple(RawRange(*part) for part in ranges),
        events=unpack_batch(events) if events else no_events(),
        ids=unpack_batch(ids) if ids else no_ids(),
        entries=tuple(Entry(*part) for part in entries),
        progress=tuple(Progress(*part) for part in progress),
        fetched_ms=fetched_ms,
    )
