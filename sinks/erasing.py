"""Taking erased persons out of every table: the rows of their nodes, wherever they stand.

In: the block that brought the erasure. Out: no row of these nodes; notes of how many rows each block lost.
Never: a row of another node; an end before all are gone: cut off, it is done again, to the same effect.

A node is never given out again once it was erased, so its rows may go at any later time too, as after a rebuild.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

from sinks.sink import Guard, Sink, Where

ERASED = "identity_erased"
TABLE = "sink_erased"
BY_NODE = (
    *(("events", "node"), ("decisions", "node"), ("triggers", "node")),
    *(("identity_links", "node_a"), ("identity_links", "node_b")),
    *(("identity_changes", "node_a"), ("identity_changes", "node_b")),
    *(("identity_holds", "node_a"), ("identity_holds", "node_b")),
    *(("identity_moves", "node"), ("identity_map", "node")),
)
"""Tables whose rows are of a node, and the column that has it. Receipts go by their triggers, before these."""

_SCHEMA = pa.schema(
    [
        *(("shard", pa.uint16()), ("block", pa.uint64()), ("table_name", pa.string())),
        *(("rows", pa.uint64()), ("by", pa.uint64()), ("step", pa.string())),
    ]
)


class Overtaken(Exception):
    """The guard did not hold: another writer has the shard."""


@dataclass(frozen=True, slots=True)
class Erasure:
    """What the block `by` told to be erased; notes are inserted under the guard, with the label."""

    sink: Sink
    shard: int
    by: int
    guard: Guard
    label: str

    def run(self) -> None:
        """Takes out what is of the nodes that were erased. Raises Overtaken, SinkUnavailable."""
        for table, where in self._steps():
            self._note(table, where)
            self.sink.remove(table, where)

    def _steps(self) -> Iterator[tuple[str, Where]]:
        block: Where = {"shard": self.shard, "block": self.by}
        nodes = tuple(sorted(self.sink.tally(ERASED, "node", block)))
        of: Where = {"shard": self.shard, "node": nodes}
        sent = {one for table in ("triggers", "decisions") for one in self.sink.tally(table, "trigger_id", of)}
        if sent:
            yield "deliveries", {"shard": self.shard, "trigger_id": tuple(sorted(sent))}
        for table, column in BY_NODE:
            yield table, {"shard": self.shard, column: nodes}

    def _note(self, table: str, where: Where) -> None:
        """Before anything is removed, once for each block: what it lost can't be counted afterwards."""
        of: Where = {"shard": self.shard, "by": self.by, "step": f"{table}.{list(where)[1]}"}
        noted = self.sink.tally(TABLE, "block", of)
        lost = {block: rows for block, rows in self.sink.tally(table, "block", where).items() if block not in noted}
        if not lost:
            return
        rows = [{**of, "table_name": table, "block": block, "rows": lost[block]} for block in sorted(lost)]
        self.sink.insert(TABLE, pa.RecordBatch.from_pylist(rows, schema=_SCHEMA), self.label, self.guard)
        if self.sink.count(TABLE, of) != len(noted) + len(lost):
            raise Overtaken
