"""The block ledger: what the sink has written of each shard, in the sink itself; and who may write it.

In: what happened to a block. Out: the newest entry, how far the shard is written, the verdict on a block.
Never: the rows of a block.

A shard's entries are numbered by `n`, rising. An entry is appended behind the newest that its writer knows, and counts
if it then stands last and alone: of several writers at most one wins a number, and whoever loses one has lost the
shard (docs/decisions/0009). A block is named by the `n` of its `begun` entry, and so by no other attempt at the same
frames, ever; its rows are inserted under a guard that this entry is still the newest.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

import pyarrow as pa

from sinks.sink import Guard, Sink

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
    """What an entry says of its block.

    ERASED: the persons whose erasure the block brought are gone from all tables. Two are of no block: a new writer
    claims the shard by OWNED, and REBUILT opens the ledger of rebuilt tables.
    """

    OWNED = "owned"
    REBUILT = "rebuilt"
    BEGUN = "begun"
    DONE = "done"
    REMOVED = "removed"
    ERASED = "erased"


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
    return json.dumps({name: batch.num_rows for name, batch in sorted(tables.items())}, separators=(",", ":"))


def append(sink: Sink, entry: Entry, after: int, label: str) -> bool:
    """Writes an entry down behind the entry `after` (0: the first one); whether it counts.

    Raises as `Sink.insert`, and then it may stand or not.
    """
    batch = pa.RecordBatch.from_pylist([asdict(entry)], schema=_SCHEMA)
    sink.insert(TABLE, batch, label, is_newest(entry.shard, after))
    return _stands(sink, entry)


def is_newest(shard: int, n: int) -> Guard:
    """The guard that the shard's newest entry is still this one."""
    return Guard(TABLE, "n", {"shard": shard}, n)


def _stands(sink: Sink, entry: Entry) -> bool:
    """Whether it bears its number alone: one that was overtaken, or that came late, has no row or a rival."""
    return sink.tally(TABLE, "owner", {"shard": entry.shard, "n": entry.n}) == {entry.owner: 1}


def newest(sink: Sink, shard: int) -> Entry | None:
    """The shard's entry with the greatest `n`."""
    return _entry(sink.last(TABLE, "n", {"shard": shard}))


def position(sink: Sink, shard: int) -> int:
    """The next journal offset to write, as far as blocks are done; an entry that came late does not lower it."""
    furthest = sink.last(TABLE, "position", {"shard": shard})
    return 0 if furthest is None else int(furthest["position"])


def rebuilt_at(sink: Sink, shard: int) -> int:
    """The `n` by which the shard's ledger was opened anew, 0 where it never was."""
    seed = sink.last(TABLE, "n", {"shard": shard, "state": State.REBUILT})
    return 0 if seed is None else int(seed["n"])


def in_doubt(sink: Sink, shard: int) -> Entry | None:
    """The last block begun, when nothing says what became of it."""
    begun = _entry(sink.last(TABLE, "n", {"shard": shard, "state": State.BEGUN}))
    if begun is None or any(_has_verdict(sink, begun, state) for state in (State.DONE, State.REMOVED)):
        return None
    return begun


def to_erase(sink: Sink, shard: int, table: str) -> Entry | None:
    """The last block done, when it brought rows of this table and nothing says that they were acted upon."""
    done = _entry(sink.last(TABLE, "n", {"shard": shard, "state": State.DONE}))
    if done is None or not done.expected.get(table) or _has_verdict(sink, done, State.ERASED):
        return None
    return done


def _has_verdict(sink: Sink, begun: Entry, state: State) -> bool:
    return sink.count(TABLE, {"shard": begun.shard, "block": begun.block, "state": state}) > 0


def _entry(row: Mapping[str, Any] | None) -> Entry | None:
    return None if row is None else Entry(**{name: row[name] for name in _SCHEMA.names})
