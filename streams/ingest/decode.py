"""Raw Kafka values into columns.

In: values as they came from the raw topics, a registry. Out: flat events and ids of the good ones, and a rejection
for each of the others. Never: a rule about what a field may hold (see `validate`); a change of an id's value (see
`normalise`); a good record lost for a bad neighbour.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from schemas.arrow import read_batch, shape
from schemas.codec import FRAMING
from schemas.flatten import flatten, identity_counts
from schemas.records import Reason
from schemas.registry import Registry, UnknownSchema
from schemas.resolution import Unreadable, resolution
from streams.outcome import Rejected

_SUBJECT: Final = "behaviour_event"
MAX_BYTES: Final = 1 << 20
MAX_IDENTITIES: Final = 20


@dataclass(frozen=True, slots=True)
class Decoded:
    """What became of the values of one batch; each is either in `kept` or in `rejected`.

    `events` has the columns of `schemas.flatten.FROM_PRODUCER` in input order and row `i` came from value `kept[i]`;
    `ids` has those of `schemas.columns.IDS`, as written, `row` pointing into `events`. `rejected` goes by input index.
    `schema_ids` has one entry per value, None where it was not framed. `property_counts` and `longest_property`
    (UTF-8 bytes of the longest key or value) have one per row of `events`: their limits are the validator's.
    """

    events: pa.RecordBatch
    ids: pa.RecordBatch
    kept: list[int]
    rejected: list[tuple[int, Rejected]]
    schema_ids: list[int | None]
    property_counts: pa.Array
    longest_property: pa.Array


def decode(
    values: Sequence[bytes | None],
    registry: Registry,
    *,
    max_bytes: int = MAX_BYTES,
    max_identities: int = MAX_IDENTITIES,
) -> Decoded:
    """Every value that is a BehaviourEvent of whatever version, as columns.

    A value may have `max_bytes` bytes with its framing, an event `max_identities` ids. The values of one call must
    stay under 2 GiB together.

    Raises:
        RegistryUnavailable: the registry did not answer; nothing is known about these values, call again.
    """
    heads = [value[:FRAMING] if value else b"" for value in values]
    known = {head: _schema_id(head) for head in set(heads)}
    rejected: dict[int, Rejected] = {}
    groups: defaultdict[int, list[int]] = defaultdict(list)
    for index, (value, head) in enumerate(zip(values, heads, strict=True)):
        schema_id = known[head]
        if value is None or schema_id is None or len(value) > max_bytes:
            rejected[index] = _not_read(value, max_bytes)
        else:
            groups[schema_id].append(index)
    parts = [_decode_group(values, group, registry, schema_id, rejected) for schema_id, group in groups.items()]
    records, kept = _in_order(parts)
    records, kept = _limited(records, kept, max_identities, rejected)
    flat = flatten(records)
    by_index, schema_ids = sorted(rejected.items()), [known[head] for head in heads]
    return Decoded(flat.events, flat.ids, kept, by_index, schema_ids, flat.property_counts, flat.longest_property)


def _schema_id(head: bytes) -> int | None:
    return int.from_bytes(head[1:], "big") if len(head) == FRAMING and head[0] == 0 else None


def _not_read(value: bytes | None, max_bytes: int) -> Rejected:
    if not value:
        return Rejected(Reason.EMPTY, "the record has no value")
    if len(value) > max_bytes:
        return Rejected(Reason.TOO_LARGE, f"{len(value)} bytes, {max_bytes} are allowed")
    return Rejected(Reason.NOT_FRAMED, "the value does not begin with a zero byte and a schema id")


_Part = tuple[pa.RecordBatch, list[int]]


def _decode_group(
    values: Sequence[bytes | None],
    group: list[int],
    registry: Registry,
    schema_id: int,
    rejected: dict[int, Rejected],
) -> _Part:
    """The good records of one schema id and their input indexes; the others go to `rejected`."""
    try:
        by = resolution(registry, schema_id, _SUBJECT)
    except (UnknownSchema, Unreadable) as error:
        unknown = isinstance(error, UnknownSchema)
        reason = Reason.UNKNOWN_SCHEMA_ID if unknown else Reason.UNDECODABLE
        rejected.update((index, Rejected(reason, str(error))) for index in group)
        return _empty(), []
    read = read_batch(by, [value[FRAMING:] for index in group if (value := values[index]) is not None])
    rejected.update((group[row], Rejected(Reason.UNDECODABLE, why)) for row, why in read.faults)
    return read.records, [group[row] for row in read.rows]


def _in_order(parts: list[_Part]) -> _Part:
    """The parts' records together, in input order."""
    if len(parts) == 1:
        return parts[0]
    kept = [index for _, indexes in parts for index in indexes]
    order = np.argsort(np.array(kept, np.int64))
    records = pa.concat_batches([_empty(), *(records for records, _ in parts)])
    return records.take(pa.array(order)), [kept[place] for place in order]


def _limited(records: pa.RecordBatch, kept: list[int], most: int, rejected: dict[int, Rejected]) -> _Part:
    """Without the events that have too many ids, which go to `rejected`."""
    counts = identity_counts(records)
    fits = pc.less_equal(counts, most)
    if pc.all(fits, min_count=0).as_py():
        return records, kept
    for index, count in zip(kept, counts.to_pylist(), strict=True):
        if count > most:
            rejected[index] = Rejected(Reason.TOO_MANY_IDENTITIES, f"{count} ids, {most} are allowed")
    return records.filter(fits), [index for index, fit in zip(kept, fits.to_pylist(), strict=True) if fit]


@cache
def _empty() -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([], schema=shape(_SUBJECT))
