"""BehaviourEvent columns as Avro nests them, made flat.

In: record batches of `arrow.read_batch`. Out: the columns of `columns.EVENTS` and `columns.IDS` that a producer fills.
Never: a rule about a value; a Python object per event.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from schemas.columns import EVENTS, IDS

_OURS: Final = ("source", "raw_offset", "received_ms", "set_aside")
FROM_PRODUCER: Final = pa.schema([field for field in EVENTS if field.name not in _OURS])
"""`EVENTS` without what ingest itself adds: where and when it came, which ids were set aside."""

_NEEDS_ESCAPE: Final = r'["\\\x00-\x1f]'
_Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Flat:
    """Flat events and ids, and per event what its limits are checked by.

    `events` has the columns of `FROM_PRODUCER`, `ids` those of `IDS`, as the producer wrote them (a missing scope is
    "", of an id and of a referrer that is there). `property_counts` and `longest_property` (UTF-8 bytes of the
    longest key or value, 0 where there is none) are int64, one per row.
    """

    events: pa.RecordBatch
    ids: pa.RecordBatch
    property_counts: pa.Array
    longest_property: pa.Array


def identity_counts(records: pa.RecordBatch) -> pa.Array:
    """How many ids each event has (int32)."""
    return pc.list_value_length(records.column("identities"))


def flatten(records: pa.RecordBatch) -> Flat:
    """The events and their ids, row by row as they came.

    Properties become JSON object text with sorted keys and no spaces, "" where there are none; of a key that came
    twice the last value counts.
    """
    keys, values, starts = _entries(records.column("properties"))
    plain = {name: records.column(name) for name in records.schema.names if name in FROM_PRODUCER.names}
    plain["event_time_ms"] = records.column("event_time")
    plain |= _referrer(records.column("referrer"))
    plain["properties"] = _json_objects(keys, values, starts)
    events = pa.RecordBatch.from_arrays([plain[name] for name in FROM_PRODUCER.names], schema=FROM_PRODUCER)
    sizes = np.maximum(_bytes(keys), _bytes(values))
    return Flat(
        events, _ids(records.column("identities")), pa.array(np.diff(starts)), pa.array(_longest(sizes, starts))
    )


def _ids(identities: pa.Array) -> pa.RecordBatch:
    flat = identities.flatten()
    row = pc.cast(pc.list_parent_indices(identities), pa.int32())
    kind, scope, value = (flat.field(name) for name in ("kind", "scope", "value"))
    return pa.RecordBatch.from_arrays([row, kind, pc.fill_null(scope, ""), value], schema=IDS)


def _referrer(referrer: pa.Array) -> dict[str, pa.Array]:
    kind, scope, value = (pc.struct_field(referrer, name) for name in ("kind", "scope", "value"))
    scope = pc.if_else(referrer.is_valid(), pc.fill_null(scope, ""), pa.scalar(None, pa.string()))
    return {"referrer_kind": kind, "referrer_scope": scope, "referrer_value": value}


def _entries(maps: pa.MapArray) -> tuple[pa.Array, pa.Array, _Ints]:
    """All keys and values, and where each row's begin (one more than rows, from 0)."""
    offsets = maps.offsets.to_numpy().astype(np.int64)
    first, count = int(offsets[0]), int(offsets[-1] - offsets[0])
    return maps.keys.slice(first, count), maps.items.slice(first, count), offsets - first


def _bytes(texts: pa.Array) -> _Ints:
    sizes: _Ints = pc.binary_length(texts).to_numpy(zero_copy_only=False).astype(np.int64)
    return sizes


def _longest(sizes: _Ints, starts: _Ints) -> _Ints:
    longest = np.zeros(len(starts) - 1, np.int64)
    filled = np.flatnonzero(np.diff(starts))
    if len(filled):
        longest[filled] = np.maximum.reduceat(sizes, starts[:-1][filled])
    return longest


def _json_objects(keys: pa.Array, values: pa.Array, starts: _Ints) -> pa.Array:
    counts = np.diff(starts)
    row = np.repeat(np.arange(len(counts)), counts)
    rank, names = _ranked(keys)
    order = _sorted_once(row * max(len(names), 1) + rank)
    members = pc.binary_join_element_wise(names.take(pa.array(rank[order])), _quoted(values.take(pa.array(order))), "")
    ends = np.concatenate(([0], np.cumsum(np.bincount(row[order], minlength=len(counts))))).astype(np.int32)
    inner = pc.binary_join(pa.ListArray.from_arrays(pa.array(ends), members), ",")
    whole = pc.binary_join_element_wise("{", inner, "}", "")
    return pc.if_else(pa.array(counts > 0), whole, "")


def _ranked(keys: pa.Array) -> tuple[_Ints, pa.Array]:
    """For each key its place among the distinct ones in order, and those, as they stand in JSON before a value."""
    encoded = keys.dictionary_encode()
    distinct: list[str] = encoded.dictionary.to_pylist()
    order = sorted(range(len(distinct)), key=distinct.__getitem__)
    rank = np.empty(len(distinct), np.int64)
    rank[order] = np.arange(len(distinct))
    codes = encoded.indices.to_numpy(zero_copy_only=False)
    return rank[codes], pa.array([_quote(distinct[one]) + ":" for one in order], pa.string())


def _sorted_once(place: _Ints) -> _Ints:
    """The order that sorts the places; of equal ones the last alone."""
    order: _Ints = np.argsort(place, kind="stable")
    arranged = place[order]
    last = np.append(arranged[1:] != arranged[:-1], True)[: len(order)]
    once: _Ints = order[last]
    return once


def _quoted(values: pa.Array) -> pa.Array:
    """JSON strings. Only those that hold a character to be escaped are handled one by one."""
    quoted = pc.binary_join_element_wise('"', values, '"', "")
    escape = pc.match_substring_regex(values, _NEEDS_ESCAPE)
    if not pc.any(escape).as_py():
        return quoted
    by_hand: list[Any] = [_quote(text) for text in values.filter(escape).to_pylist()]
    return pc.replace_with_mask(quoted, escape, pa.array(by_hand, pa.string()))


def _quote(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
