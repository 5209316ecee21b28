"""Whole batches of bodies into nested Arrow columns of our newest version.

In: bodies that one writer's schema wrote. Out: a record batch of the good ones, and why the others are not.
Never: a record that `resolution.read` would refuse; a neighbour spoilt by a bad record.

pyruhvro reads a batch some twenty times faster than fastavro, and within the bytes that it is given. But it looks
neither whether text is UTF-8 nor whether the body ends with the record, and refuses a whole batch for one bad record.
So each body gets a mark behind it that must be read back as one more field (a body that is too long or too short
shifts it), the columns are validated in full, and a batch that fails is parted until the bad records are among a few,
which fastavro tells apart. Schemas that `columnar` will not hand over are read by fastavro and written again in our
version.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Final

import fastavro
import pyarrow as pa
import pyarrow.compute as pc
import pyruhvro

from schemas.columnar import END
from schemas.released import Schema, schema
from schemas.resolution import Resolution, Unreadable, parsed, plain, read, resolve

_MARK_TEXT: Final = "\x01~siyu~\x02"
_MARK: Final = bytes([2 * len(_MARK_TEXT)]) + _MARK_TEXT.encode()
_FEW: Final = 64
_PARTS: Final = 8


@dataclass(frozen=True, slots=True)
class Read:
    """The good records as columns, the index of the body of each, and the other bodies with the reason."""

    records: pa.RecordBatch
    rows: list[int]
    faults: list[tuple[int, str]]


def read_batch(by: Resolution, bodies: list[bytes]) -> Read:
    """Every body that is a record, in our newest version, in the order given.

    Columns are the schema's fields: times int64 milliseconds, records structs, arrays lists, maps maps. All text of
    one column must fit in 2 GiB. For subjects without bytes fields only.
    """
    good: list[pa.RecordBatch] = []
    rows: list[int] = []
    faults: list[tuple[int, str]] = []
    for found, outcome in _read(by, list(range(len(bodies))), bodies):
        if isinstance(outcome, str):
            faults.append((found[0], outcome))
        else:
            good.append(outcome)
            rows.extend(found)
    if len(good) == 1:
        return Read(good[0], rows, faults)
    return Read(pa.concat_batches([_none(by.subject), *good]), rows, faults)


@cache
def shape(subject: str) -> pa.Schema:
    """The columns of `read_batch` for the subject."""
    return pyruhvro.avro_to_arrow_schema(json.dumps(plain(schema(subject))))


def _read(by: Resolution, rows: list[int], bodies: list[bytes]) -> Iterator[tuple[list[int], pa.RecordBatch | str]]:
    """Good rows with their columns and single bad rows with the reason; each of both kinds in order."""
    if by.wire is None or not rows:
        yield from _one_by_one(by, rows, bodies)
        return
    try:
        yield rows, _columns(by, [bodies[row] for row in rows])
    except Unreadable:
        faults = dict(_faults(by, rows, bodies))
        yield from (([row], why) for row, why in faults.items())
        yield from _good(by, [row for row in rows if row not in faults], bodies)


def _good(by: Resolution, rows: list[int], bodies: list[bytes]) -> Iterator[tuple[list[int], pa.RecordBatch | str]]:
    try:
        yield rows, _columns(by, [bodies[row] for row in rows])
    except Unreadable:  # what fastavro reads and the column decoder does not
        yield from _one_by_one(by, rows, bodies)


def _faults(by: Resolution, rows: list[int], bodies: list[bytes]) -> Iterator[tuple[int, str]]:
    """The bad ones among these rows, and why."""
    if len(rows) > _FEW:
        step = -(-len(rows) // _PARTS)
        for start in range(0, len(rows), step):
            part = rows[start : start + step]
            if not _is_sound(by, [bodies[row] for row in part]):
                yield from _faults(by, part, bodies)
        return
    for row in rows:
        try:
            read(by, bodies[row])
        except Unreadable as fault:
            yield row, str(fault)


def _is_sound(by: Resolution, bodies: list[bytes]) -> bool:
    try:
        _decoded(by, bodies)
    except Unreadable:
        return False
    return True


def _one_by_one(
    by: Resolution, rows: list[int], bodies: list[bytes]
) -> Iterator[tuple[list[int], pa.RecordBatch | str]]:
    good: dict[int, bytes] = {}
    for row in rows:
        try:
            good[row] = _rewritten(by, bodies[row])
        except Unreadable as fault:
            yield [row], str(fault)
    if good:
        yield list(good), _columns(_ours(by.subject), list(good.values()))


def _rewritten(by: Resolution, body: bytes) -> bytes:
    """The body's record in our newest version."""
    sink = io.BytesIO()
    fastavro.schemaless_writer(sink, parsed(by.subject), read(by, body))
    return sink.getvalue()


def _columns(by: Resolution, bodies: list[bytes]) -> pa.RecordBatch:
    """The bodies' columns in our version, or `Unreadable` if any of them is not exactly one record."""
    return _conform(_decoded(by, bodies), by.subject)


def _decoded(by: Resolution, bodies: list[bytes]) -> pa.RecordBatch:
    """The bodies' columns as the writer had them, or `Unreadable`."""
    if by.wire is None:
        raise TypeError(f"{by.subject} has no columns")
    try:
        batch = pyruhvro.deserialize_array([body + _MARK for body in bodies], by.wire)
        batch.validate(full=True)
    except ValueError as error:
        raise Unreadable(str(error)) from None
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise Unreadable("the decoder gave up") from None
    if not pc.all(pc.equal(batch.column(END), _MARK_TEXT)).as_py():
        raise Unreadable("a body does not end with its record")
    return batch


def _conform(batch: pa.RecordBatch, subject: str) -> pa.RecordBatch:
    """Our columns, from those that the writer had."""
    fields = {field["name"]: field for field in parsed(subject)["fields"]}
    theirs = {name: batch.column(name) for name in batch.schema.names}
    columns = [
        _cast(theirs[target.name], target.type)
        if target.name in theirs
        else _constant(fields[target.name], target.type, batch.num_rows)
        for target in shape(subject)
    ]
    return pa.RecordBatch.from_arrays(columns, schema=shape(subject))


def _cast(array: pa.Array, target: pa.DataType) -> pa.Array:
    """The array as `target`: fields of structs by name, those that are missing null."""
    if array.type == target:
        return array
    if pa.types.is_list(target):
        return pa.ListArray.from_arrays(array.offsets, _cast(array.values, target.value_type), target)
    if not pa.types.is_struct(target):
        return array.cast(target)
    names = {field.name for field in array.type}
    inner = [
        _cast(array.field(field.name), field.type) if field.name in names else pa.nulls(len(array), field.type)
        for field in target
    ]
    return pa.StructArray.from_arrays(inner, fields=list(target), mask=array.is_null())


def _constant(field: Schema, target: pa.DataType, count: int) -> pa.Array:
    default = field["default"]
    value = list(default.items()) if isinstance(default, dict) else default
    return pa.array([value] * count, target)


@cache
def _none(subject: str) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([], schema=shape(subject))


@cache
def _ours(subject: str) -> Resolution:
    return resolve(schema(subject))
