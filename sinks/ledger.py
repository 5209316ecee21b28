"""The block ledger: what the sink has written of each shard, in the sink itself.

In: what happened to a block. Out: the newest entry, the verdict on a block. Never: the rows of a block.

A shard's entries are numbered by `n`, rising. A block is named by the `n` of its `begun` entry, and so by no other
attempt at the same frames, ever: rows of an attempt that was removed can't be mistaken for those of the next, nor a
late statement against the one hit the other.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

import pyarrow as pa

from sinks.sink import Sink

TABLE = "sink_blocks"

_SCHEMA = pa.schema(
    [
        ("shard", pa.uint16()),
        ("n", pa.uint64()),
        ("block", pa.uint64()),
        ("state", pa.string()),
        ("first_offset", pa.uint64()),
        ("last_offset", pa.uint64()),
        ("position", pa.uint64()),
        ("rows", pa.string()),
        ("owner", pa.string()),
        ("noted_ms", pa.int64()),
    ]
)


class State(StrEnum):
    """What an entry says of its block; OWNED is of no block, a new writer claims the shard by it."""

    OWNED = "owned"
    BEGUN = "begun"
    DONE = "done"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the ledger; `position` is the next journal offset to write once the row stands.

    `rows` is a JSON object of the rows that the block brings to each table.
    """

    shard: int
    n: int
    block: int
    state: str
    first_offset: int
    last_offset: int
    position: int
    rows: str
    owner: str
    noted_ms: int

    @property
    def expected(self) -> dict[str, int]:
        """Rows by table."""
        return {str(table): int(rows) for table, rows in json.loads(self.rows).items()}


def rows_text(tables: Mapping[str, pa.RecordBatch]) -> str:
    """`Entry.rows` of these batches."""
    return json.dumps({name: batch.num_rows for name, batch in sorted(tables.items())})


def note(sink: Sink, entry: Entry, label: str) -> None:
    """Writes an entry down; raises as `Sink.insert`, and then it may stand or not."""
    sink.insert(TABLE, pa.RecordBatch.from_pylist([asdict(entry)], schema=_SCHEMA), label)


def newest(sink: Sink, shard: int) -> Entry | None:
    """The shard's entry with the greatest `n`."""
    return _entry(sink.last(TABLE, "n", {"shard": shard}))


def in_doubt(sink: Sink, shard: int) -> Entry | None:
    """The last block begun, when nothing says what became of it."""
    begun = _entry(sink.last(TABLE, "n", {"shard": shard, "state": State.BEGUN}))
    if begun is None or any(has_verdict(sink, begun, state) for state in (State.DONE, State.REMOVED)):
        return None
    return begun


def has_verdict(sink: Sink, begun: Entry, state: State) -> bool:
    """Whether an entry gives this block that state."""
    return sink.count(TABLE, {"shard": begun.shard, "block": begun.block, "state": state}) > 0


def is_alone(sink: Sink, entry: Entry) -> bool:
    """Whether no other writer has given an entry of the shard the same number."""
    return sink.count(TABLE, {"shard": entry.shard, "n": entry.n}) == 1


def is_followed(sink: Sink, entry: Entry) -> bool:
    """Whether the shard's ledger goes on after this entry."""
    return sink.count(TABLE, {"shard": entry.shard, "n": entry.n + 1}) > 0


def _entry(row: Mapping[str, Any] | None) -> Entry | None:
    return None if row is None else Entry(**{name: row[name] for name in _SCHEMA.names})
