"""Deals the rows and entries of one cut out to the shards of their tenants: one journal frame per shard.

In: a cut, its accepted events as columns, its entries. Out: a frame for EVERY shard, also where it has no row, since a
shard must hear of every raw offset and of every progress.
Never: another order than the cut's; a take on nested columns.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from schemas.columns import EVENTS, IDS
from streams.ingest.align import Cut
from streams.ingest.record import OFFSET_OF, PARTITION_OF, TIME_OF
from streams.journal.frame import Entry, Frame, no_events, no_ids

Sources = dict[tuple[str, int], int]

EVERY_SHARD: Final = "*"
"""The tenant of a control that is for all."""


class Rows(NamedTuple):
    """Accepted events: `events` as NORMALISED, `ids` as IDS, and each event's index in the cut, rising."""

    events: pa.RecordBatch
    ids: pa.RecordBatch
    at: Sequence[int]


class Noted(NamedTuple):
    """A record that is no accepted event: its index in the cut, its kind of entry, its fields.

    `key` deals it to its shard: its tenant, or EVERY_SHARD.
    """

    at: int
    kind: str
    key: str
    record: Mapping[str, Any]


@lru_cache(maxsize=1 << 14)
def shard_of(tenant: str, shards: int) -> int:
    """The shard, 0 to shards - 1, that a tenant's records belong to; the same on every machine and in every version."""
    return xxhash.xxh64_intdigest(tenant.encode()) % shards


class Regroup:
    """Builds the frames of this many shards."""

    def __init__(self, shards: int) -> None:
        """`shards`: the number of partitions of the journal."""
        self._shards = range(shards)
        self._nothing = Rows(no_events(), no_ids(), ())

    def frames(self, cut: Cut, rows: Rows, entries: Sequence[Noted] = ()) -> dict[int, Frame]:
        """One frame per shard, 0 to shards - 1; rows and entries stand as in the cut."""
        sources: Sources = {part.of: index for index, part in enumerate(cut.ranges)}
        parts = self._parts(_located(cut, rows, sources)) if rows.at else {}
        of_shard = self._entries(entries)
        return {
            shard: _frame(cut, parts.get(shard, self._nothing), of_shard.get(shard, []), sources)
            for shard in self._shards
        }

    def _parts(self, rows: Rows) -> dict[int, Rows]:
        tenants = pc.dictionary_encode(rows.events["tenant"])
        shards = [shard_of(tenant, len(self._shards)) for tenant in tenants.dictionary.to_pylist()]
        if len(set(shards)) == 1:
            return {shards[0]: rows}
        return _split(rows, pa.array(shards, pa.int32()).take(tenants.indices))

    def _entries(self, entries: Sequence[Noted]) -> dict[int, list[Noted]]:
        of_shard: dict[int, list[Noted]] = {}
        for entry in entries:
            everyone = entry.key == EVERY_SHARD
            for shard in self._shards if everyone else (shard_of(entry.key, len(self._shards)),):
                of_shard.setdefault(shard, []).append(entry)
        return of_shard


def _located(cut: Cut, rows: Rows, sources: Sources) -> Rows:
    """The rows with all columns of EVENTS: where each came from, and when it was received."""
    everything = len(rows.at) == len(cut.records)
    records = cut.records if everything else [cut.records[at] for at in rows.at]
    came = {
        "source": pa.array([sources[of] for of in map(PARTITION_OF, records)], pa.int16()),
        "raw_offset": pa.array(list(map(OFFSET_OF, records)), pa.int64()),
        "received_ms": pa.array(list(map(TIME_OF, records)), pa.int64()),
    }
    columns = came | {name: rows.events[name] for name in rows.events.schema.names}
    return rows._replace(events=pa.RecordBatch.from_arrays([columns[name] for name in EVENTS.names], schema=EVENTS))


def _split(rows: Rows, shards: pa.Array) -> dict[int, Rows]:
    """Sorts rows by shard, keeping their order within one, and slices: one take, however many shards there are."""
    order = pc.sort_indices(shards)
    events, ids = rows.events.take(order), _ids_in(rows.ids, order, shards)
    at = [rows.at[row] for row in order.to_pylist()]
    id_shards = shards.take(order).take(ids["row"])
    counts, id_counts = _counts(shards), _counts(id_shards)
    parts, start, id_start = {}, 0, 0
    for shard in sorted(counts):
        end, id_end = start + counts[shard], id_start + id_counts.get(shard, 0)
        parts[shard] = Rows(
            events.slice(start, end - start), _from_row(ids.slice(id_start, id_end - id_start), start), at[start:end]
        )
        start, id_start = end, id_end
    return parts


def _ids_in(ids: pa.RecordBatch, order: pa.Array, shards: pa.Array) -> pa.RecordBatch:
    """The ids sorted by the shard of their row, `row` pointing into the sorted events."""
    place = pc.sort_indices(order).cast(pa.int32())
    sorted_ids = ids.take(pc.sort_indices(shards.take(ids["row"])))
    return with_rows(sorted_ids, place.take(sorted_ids["row"]))


def _from_row(ids: pa.RecordBatch, start: int) -> pa.RecordBatch:
    return with_rows(ids, pc.subtract(ids["row"], pa.scalar(start, pa.int32())))


def with_rows(ids: pa.RecordBatch, rows: pa.Array) -> pa.RecordBatch:
    """The ids with this column in place of `row`."""
    return pa.RecordBatch.from_arrays([rows, *(ids[name] for name in IDS.names[1:])], schema=IDS)


def _counts(shards: pa.Array) -> dict[int, int]:
    return {entry["values"]: entry["counts"] for entry in pc.value_counts(shards).to_pylist()}


def _frame(cut: Cut, part: Rows, entries: Sequence[Noted], sources: Sources) -> Frame:
    return Frame(
        ranges=cut.ranges,
        events=part.events,
        ids=part.ids,
        entries=tuple(_entry(cut, part, entry, sources) for entry in entries),
        progress=cut.progress,
        fetched_ms=cut.fetched_ms,
    )


def _entry(cut: Cut, part: Rows, entry: Noted, sources: Sources) -> Entry:
    record = cut.records[entry.at]
    before = bisect_left(part.at, entry.at)
    return Entry(before, entry.kind, sources[record.of], record.offset, record.time_ms, entry.record)
