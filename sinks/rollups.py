"""Sums over a block's facts, which the writer inserts beside them as tables of the same block.

In: the `events` of one block. Out: rows of `touchpoint_minute_parts`. Never: a number that another block has part in,
so removing a block and writing it again repairs the sums too.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

_MINUTE_MS = 60_000
_KEYS = ["tenant", "minute_ms", "touchpoint", "event_type"]

TOUCHPOINT_MINUTE = "touchpoint_minute_parts"


def touchpoint_minutes(events: pa.RecordBatch) -> pa.RecordBatch:
    """Events and their money (`amount_fen`, 0 where none) by tenant, minute, touchpoint and event type."""
    table = pa.table([*_keys(events), pc.fill_null(events.column("amount_fen"), 0)], names=[*_KEYS, "amount_fen"])
    sums = table.group_by(_KEYS, use_threads=False).aggregate([([], "count_all"), ("amount_fen", "sum")])
    columns = [*(sums[key] for key in _KEYS), sums["count_all"].cast(pa.uint64()), sums["amount_fen_sum"]]
    return _one_batch(pa.table(columns, names=[*_KEYS, "events", "amount_fen"]))


def _keys(events: pa.RecordBatch) -> list[pa.Array]:
    minute = pc.multiply(pc.divide(events.column("event_time_ms"), _MINUTE_MS), _MINUTE_MS)
    return [events.column("tenant"), minute, events.column("touchpoint"), events.column("event_type")]


def _one_batch(table: pa.Table) -> pa.RecordBatch:
    columns = [column.combine_chunks() for column in table.columns]
    return pa.RecordBatch.from_arrays(columns, names=table.column_names)
