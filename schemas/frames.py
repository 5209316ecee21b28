"""Resolved frames: what the engine made of one journal frame, as it travels to the sink.

In: Arrow batches by table name. Out: bytes, and back. Never: a change of what is in them; the same frame gives the
same bytes, so that a repeat after a crash can be recognised by comparing.

Layout: a MessagePack map; each batch is an Arrow IPC stream. Empty tables are left out.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import msgpack
import pyarrow as pa

_VERSION = 1


@dataclass(frozen=True, slots=True)
class Resolved:
    """The tables (see `schemas.columns.TABLES`) that came of journal frame `journal_offset` of `shard`.

    `progress_ms` is the shard's furthest progress after the frame, in event time (milliseconds, 0 before any).
    """

    shard: int
    journal_offset: int
    progress_ms: int = 0
    tables: dict[str, pa.RecordBatch] = field(default_factory=dict)


def pack_batch(batch: pa.RecordBatch) -> bytes:
    """One Arrow batch as an IPC stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    packed: bytes = sink.getvalue().to_pybytes()
    return packed


def unpack_batch(packed: bytes) -> pa.RecordBatch:
    """The batch that `pack_batch` packed."""
    with pa.ipc.open_stream(packed) as reader:
        return reader.read_next_batch()


def encode_resolved(resolved: Resolved) -> bytes:
    """The frame as bytes; tables in alphabetical order, empty ones left out."""
    tables = {name: pack_batch(batch) for name, batch in sorted(resolved.tables.items()) if batch.num_rows}
    head = [_VERSION, resolved.shard, resolved.journal_offset, resolved.progress_ms]
    packed: bytes = msgpack.packb([*head, tables])
    return packed


def decode_resolved(packed: bytes) -> Resolved:
    """The frame of these bytes.

    Raises:
        ValueError: the bytes are of a version that this code does not know.
    """
    version, shard, offset, progress_ms, tables = msgpack.unpackb(packed)
    if version != _VERSION:
        raise ValueError(f"resolved frame of version {version}, this worker reads version {_VERSION}")
    batches = {name: unpack_batch(body) for name, body in tables.items()}
    return Resolved(shard, offset, progress_ms, batches)
