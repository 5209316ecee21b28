"""A sink in memory, for tests: it keeps the batches that it was given, per table.

In: Arrow batches. Out: rows. Never: SQL, defaults of missing columns, a table that must exist first.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from sinks.sink import Guard, Where


class MemorySink:
    """`Sink` over lists of batches; nothing is ever unavailable."""

    def __init__(self) -> None:
        self.batches: dict[str, list[pa.RecordBatch]] = {}

    def insert(self, table: str, batch: pa.RecordBatch, label: str = "", guard: Guard | None = None) -> None:
        """Keeps the batch itself: Arrow batches don't change."""
        if batch.num_rows and (guard is None or self.holds(guard)):
            self.batches.setdefault(table, []).append(batch)

    def holds(self, guard: Guard) -> bool:
        """Whether an insert with this guard would bring its rows now."""
        newest = self.last(guard.table, guard.by, guard.where)
        return (newest[guard.by] if newest else 0) == guard.value

    def rows(self, table: str) -> list[dict[str, Any]]:
        """All rows of the table as dicts, in the order of arrival."""
        return [row for batch in self.batches.get(table, []) for row in batch.to_pylist()]

    def count(self, table: str, where: Where) -> int:
        """See `Sink.count`."""
        return sum(batch.num_rows for batch in self._chosen(table, where))

    def last(self, table: str, by: str, where: Where) -> dict[str, Any] | None:
        """See `Sink.last`."""
        rows = [row for batch in self._chosen(table, where) for row in batch.to_pylist()]
        return max(rows, key=lambda row: row[by], default=None)

    def tally(self, table: str, column: str, where: Where) -> dict[Any, int]:
        """See `Sink.tally`."""
        chosen = self._chosen(table, where)
        return dict(Counter(value for batch in chosen for value in batch.column(column).to_pylist()))

    def remove(self, table: str, where: Where) -> None:
        """See `Sink.remove`."""
        kept = [batch.filter(pc.invert(_mask(batch, where))) for batch in self.batches.get(table, [])]
        self.batches[table] = [batch for batch in kept if batch.num_rows]

    def unfinished(self, label: str) -> int:
        """Nothing runs on after its call."""
        return 0

    def close(self) -> None:
        """Keeps everything: a test looks afterwards."""

    def _chosen(self, table: str, where: Where) -> list[pa.RecordBatch]:
        return [batch.filter(_mask(batch, where)) for batch in self.batches.get(table, [])]


def _mask(batch: pa.RecordBatch, where: Where) -> pa.Array:
    mask = pa.repeat(pa.scalar(True), batch.num_rows)
    for column, value in where.items():
        wanted = pa.array(value if isinstance(value, tuple) else (value,), batch.schema.field(column).type)
        mask = pc.and_(mask, pc.is_in(batch.column(column), value_set=wanted))
    return mask
