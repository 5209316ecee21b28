"""From resolved frames to blocks: as many consecutive frames of a shard as make a good insert.

In: `Resolved` frames in journal order, as often as Kafka gives them. Out: blocks of one Arrow batch per table.
Never: I/O; a row of a frame without the rest of that frame.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from schemas.columns import TABLES
from schemas.frames import Resolved
from sinks.rollups import TOUCHPOINT_MINUTE, touchpoint_minutes


@dataclass(frozen=True, slots=True)
class BlockSize:
    """A block is closed when it has so many rows or bytes; the frame that gets it there is its last."""

    rows: int = 100_000
    bytes: int = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Block:
    """Frames of one shard that are inserted together; at least one, each with rows, their offsets rising."""

    frames: tuple[Resolved, ...]

    @property
    def first_offset(self) -> int:
        return self.frames[0].journal_offset

    @property
    def last_offset(self) -> int:
        return self.frames[-1].journal_offset

    def tables(self, number: int) -> dict[str, pa.RecordBatch]:
        """The rows of all frames by table, and their roll-ups, marked as of block `number`; no table is empty.

        A missing text becomes ''. Raises ValueError for a table or columns that `schemas.columns` doesn't know.
        """
        names = sorted({name for frame in self.frames for name in _filled(frame)})
        facts = {name: self._facts(name) for name in names}
        marked = {name: _marked(batch, self.frames[0].shard, number) for name, batch in facts.items()}
        if "events" in facts:
            sums = touchpoint_minutes(facts["events"])
            marked[TOUCHPOINT_MINUTE] = _marked(sums, self.frames[0].shard, number)
        return marked

    def _facts(self, name: str) -> pa.RecordBatch:
        parts = [(frame.journal_offset, frame.tables[name]) for frame in self.frames if name in _filled(frame)]
        batch = _without_null_texts(pa.concat_batches([_checked(name, part) for _, part in parts]))
        offsets = [pa.repeat(pa.scalar(offset, pa.uint64()), part.num_rows) for offset, part in parts]
        return batch.append_column("journal_offset", pa.concat_arrays(offsets))


def cut(frames: Iterable[Resolved], shard: int, position: int, size: BlockSize) -> Iterator[Block]:
    """Blocks of the frames from journal offset `position` on, in order.

    Frames below it, and repeats, are passed over, as are frames without rows: offsets may have gaps (Kafka's own
    markers), so a missing frame can't be seen here; the engine guards the journal. Raises ValueError for a frame of
    another shard.
    """
    held: list[Resolved] = []
    rows = size_bytes = 0
    for frame in _fresh(frames, shard, position):
        held.append(frame)
        rows += sum(batch.num_rows for batch in frame.tables.values())
        size_bytes += sum(batch.nbytes for batch in frame.tables.values())
        if rows >= size.rows or size_bytes >= size.bytes:
            yield Block(tuple(held))
            held, rows, size_bytes = [], 0, 0
    if held:
        yield Block(tuple(held))


def _fresh(frames: Iterable[Resolved], shard: int, position: int) -> Iterator[Resolved]:
    for frame in frames:
        if frame.shard != shard:
            raise ValueError(f"a frame of shard {frame.shard} came to the writer of shard {shard}")
        if frame.journal_offset >= position:
            position = frame.journal_offset + 1
            if _filled(frame):
                yield frame


def _filled(frame: Resolved) -> Sequence[str]:
    return [name for name, batch in frame.tables.items() if batch.num_rows]


def _checked(name: str, batch: pa.RecordBatch) -> pa.RecordBatch:
    """With all columns of the table: an older engine's frames may lack texts that came later."""
    expected = TABLES.get(name)
    if expected is None:
        raise ValueError(f"a frame holds rows of {name}, a table that schemas.columns doesn't know")
    if batch.schema.names == expected.names and batch.schema.types == expected.types:
        return batch
    given = [field.name for field in expected if field.name in batch.schema.names]
    lacks = [field.type for field in expected if field.name not in given]
    if given != batch.schema.names or lacks != [pa.string()] * len(lacks) or not lacks:
        raise ValueError(f"the columns of {name} in a frame are not those of schemas.columns")
    rows = batch.num_rows
    columns = [batch.column(f.name) if f.name in given else pa.nulls(rows, f.type) for f in expected]
    return _checked(name, pa.RecordBatch.from_arrays(columns, names=expected.names))


def _without_null_texts(batch: pa.RecordBatch) -> pa.RecordBatch:
    columns = [_filled_up(column) if _lacks_text(column) else column for column in batch.columns]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def _filled_up(column: pa.Array) -> pa.Array:
    return pc.fill_null(column, pa.scalar("", column.type))


def _lacks_text(column: pa.Array) -> bool:
    return bool(column.null_count and (pa.types.is_string(column.type) or pa.types.is_binary(column.type)))


def _marked(batch: pa.RecordBatch, shard: int, number: int) -> pa.RecordBatch:
    rows = batch.num_rows
    shards = pa.repeat(pa.scalar(shard, pa.uint16()), rows)
    return batch.append_column("shard", shards).append_column("block", pa.repeat(pa.scalar(number, pa.uint64()), rows))
