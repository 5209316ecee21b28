"""Brings the ids of a batch of events, and their referrers, into the form in which the engine compares them.

In: events and their raw ids. Out: events with `set_aside`, and the good ids, each once an event.
Never: drops an event; writes an id's value where it was set aside.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from schemas.columns import EVENTS, IDS
from schemas.records import ID_KINDS
from streams.ingest.identifiers import Identifiers, clean

_REFERRER: Final = ("referrer_kind", "referrer_scope", "referrer_value")
_PLAIN_KIND: Final = re.compile(r"[a-z][a-z_]{0,31}")
_NO_KIND: Final = "?"
_KINDS = pa.array(ID_KINDS)

NORMALISED: Final = pa.schema(list(EVENTS)[EVENTS.get_field_index("event_id") :])
"""Events as they leave here: EVENTS without what tells where a row came from."""


class Normalised(NamedTuple):
    """`events` has the columns NORMALISED, `ids` the columns IDS; `set_aside` counts "kind:reason"."""

    events: pa.RecordBatch
    ids: pa.RecordBatch
    set_aside: Counter[str]


def normalise(events: pa.RecordBatch, ids: pa.RecordBatch) -> Normalised:
    """Normalises the ids and referrers of events (EVENTS' columns from event_id to properties, IDS ordered by row)."""
    referred = pc.is_valid(events["referrer_kind"])
    rows, cleaned = _cleaned(events, ids, referred)
    notes = _notes(rows, cleaned, ids.num_rows)
    own, referrers = _parted(cleaned, ids.num_rows)
    return Normalised(
        _with_referrers(events, referred, referrers, _column(notes, events.num_rows)),
        _distinct(_kept(rows.slice(0, ids.num_rows), own)),
        Counter(note for of_row in notes.values() for note in of_row),
    )


def _cleaned(events: pa.RecordBatch, ids: pa.RecordBatch, referred: pa.Array) -> tuple[pa.Array, Identifiers]:
    """Rows and cleaned ids, the referrers behind the events' own, in one pass over both."""
    columns = [ids[name] for name in IDS.names]
    if pc.any(referred).as_py():
        rows = pc.indices_nonzero(referred).cast(pa.int32())
        behind = [rows, *(events[name].filter(referred) for name in _REFERRER)]
        columns = [pa.concat_arrays(pair) for pair in zip(columns, behind, strict=True)]
    return columns[0], clean(*columns[1:])


def _parted(cleaned: Identifiers, count: int) -> tuple[Identifiers, Identifiers]:
    own = Identifiers(*(column.slice(0, count) for column in cleaned))
    return own, Identifiers(*(column.slice(count) for column in cleaned))


def _notes(rows: pa.Array, cleaned: Identifiers, own: int) -> dict[int, list[str]]:
    """Why ids were set aside, by event row; those of referrers say so."""
    notes: dict[int, list[str]] = {}
    for at in pc.indices_nonzero(pc.is_valid(cleaned.reason)).to_pylist():
        kind = cleaned.kind[at].as_py()
        named = kind if _PLAIN_KIND.fullmatch(kind) else _NO_KIND
        role = "" if at < own else "referrer_"
        notes.setdefault(rows[at].as_py(), []).append(f"{role}{named}:{cleaned.reason[at].as_py()}")
    return notes


def _column(notes: dict[int, list[str]], length: int) -> pa.Array:
    texts = [""] * length
    for row, of_row in notes.items():
        texts[row] = ";".join(of_row)
    return pa.array(texts, pa.string())


def _with_referrers(
    events: pa.RecordBatch, referred: pa.Array, referrers: Identifiers, set_aside: pa.Array
) -> pa.RecordBatch:
    """The events with `set_aside`, and their referrers cleaned; one that was set aside is no referrer."""
    columns = {name: events[name] for name in events.schema.names} | {"set_aside": set_aside}
    if len(referrers.kind):
        good = pc.is_null(referrers.reason)
        nothing = pa.nulls(len(good), pa.string())
        for name, column in zip(_REFERRER, referrers, strict=False):
            columns[name] = pc.replace_with_mask(events[name], referred, pc.if_else(good, column, nothing))
    return pa.RecordBatch.from_arrays([columns[name] for name in NORMALISED.names], schema=NORMALISED)


def _kept(rows: pa.Array, ids: Identifiers) -> pa.RecordBatch:
    batch = pa.RecordBatch.from_arrays([rows, ids.kind, ids.scope, ids.value], schema=IDS)
    return batch.filter(pc.is_null(ids.reason)) if ids.reason.null_count < len(rows) else batch


def _distinct(ids: pa.RecordBatch) -> pa.RecordBatch:
    """The ids without those that stand twice in one event; the first stays."""
    if not _suspects(ids):
        return ids
    first = dict.fromkeys(zip(*(ids[name].to_pylist() for name in IDS.names), strict=True))
    columns = zip(*first, strict=True)
    return pa.RecordBatch.from_arrays(
        [pa.array(column, field.type) for column, field in zip(columns, IDS, strict=True)], schema=IDS
    )


def _suspects(ids: pa.RecordBatch) -> bool:
    """Whether an event has two ids of one kind and value: numbers are compared first, since text is slow."""
    kinds = pc.index_in(ids["kind"], value_set=_KINDS)
    spots = pc.add(pc.multiply(ids["row"].cast(pa.int64()), len(ID_KINDS)), kinds)
    if not _repeats(spots):
        return False
    values = pc.dictionary_encode(ids["value"]).indices.cast(pa.int64())
    return _repeats(pc.add(pc.multiply(spots, ids.num_rows), values))


def _repeats(numbers: pa.Array) -> bool:
    return bool(pc.count_distinct(numbers).as_py() < len(numbers))
