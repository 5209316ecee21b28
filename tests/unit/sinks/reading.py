"""What stands in a sink, as tests compare it: without what depends on how frames were cut into blocks.

In: any sink of the suite. Out: sorted tuples. Never: a change.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any, cast

from sinks.memory import MemorySink
from sinks.rollups import TOUCHPOINT_MINUTE
from sinks.sink import Database, Sink
from tests.unit.sinks.resolved import TABLES_USED

Rows = list[tuple[Any, ...]]


def facts(sink: Sink, shard: int) -> dict[str, Rows]:
    """A shard's rows by table, but for shard and block; roll-ups summed over the blocks."""
    found = {table: _texts(raw_rows(sink, table, shard)) for table in TABLES_USED}
    return {**found, TOUCHPOINT_MINUTE: _sums(raw_rows(sink, TOUCHPOINT_MINUTE, shard))}


def raw_rows(sink: Sink, table: str, shard: int) -> list[dict[str, Any]]:
    """A shard's rows of a table as dicts."""
    if isinstance(sink, MemorySink):
        return [row for row in sink.rows(table) if row["shard"] == shard]
    answer = cast("Database", sink).query(f"SELECT * FROM siyu.{table} WHERE shard = {shard}")
    return [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]


def _texts(rows: list[dict[str, Any]]) -> Rows:
    kept = [{name: value for name, value in row.items() if name not in {"shard", "block"}} for row in rows]
    return sorted(tuple(map(repr, row.values())) for row in kept)


def _sums(rows: list[dict[str, Any]]) -> Rows:
    added: dict[tuple[Any, ...], list[int]] = defaultdict(lambda: [0, 0])
    for row in rows:
        sums = added[row["tenant"], row["minute_ms"], row["touchpoint"], row["event_type"]]
        sums[0] += row["events"]
        sums[1] += row["amount_fen"]
    return sorted((*key, *sums) for key, sums in added.items())
