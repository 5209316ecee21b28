"""The Confluent wire format: a zero byte, the schema id in four bytes, the Avro body.

In: records and messages. Out: messages and records. Never: batches (see `arrow`), a rule about what a value may be.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

import fastavro

from schemas.registry import Registry
from schemas.resolution import parsed, read, resolution

_MAGIC: Final = 0
_HEAD: Final = struct.Struct(">bI")
FRAMING: Final = _HEAD.size
"""Bytes before the body."""


def frame(schema_id: int, body: bytes) -> bytes:
    """The message of this body, written with the schema of that id."""
    return _HEAD.pack(_MAGIC, schema_id) + body


def split(message: bytes) -> tuple[int, bytes]:
    """The schema id and the body.

    Raises:
        ValueError: "not framed", it has not five bytes or does not begin with zero.
    """
    if len(message) < FRAMING or message[0] != _MAGIC:
        raise ValueError("not framed")
    return _HEAD.unpack_from(message)[1], message[FRAMING:]


def encode(subject: str, record: Mapping[str, Any], schema_id: int) -> bytes:
    """The record as a message, in our newest version of the subject, whose id is `schema_id` (`Registry.id_of`).

    A field with a default may be missing; a field that the schema does not know is an error. Times are int
    milliseconds.

    Raises:
        ValueError: the record does not fit the schema; the text says where.
        KeyError: there is no such subject.
    """
    sink = io.BytesIO()
    sink.write(_HEAD.pack(_MAGIC, schema_id))
    shape = parsed(subject)
    try:
        _refuse_lookalikes(subject, record)
        fastavro.schemaless_writer(sink, shape, record, strict_allow_default=True)
    except (ValueError, TypeError, AttributeError, OverflowError, KeyError) as error:
        raise ValueError(f"not a {subject}: {error}") from None
    return sink.getvalue()


def decode_one(message: bytes, registry: Registry, subject: str | None = None) -> dict[str, Any]:
    """The record of this message, whatever version wrote it, in our newest version; times are int milliseconds.

    `subject` is the one that is expected; None takes any of ours.

    Raises:
        ValueError: it is not framed, or its bytes are not such a record.
        UnknownSchema: no schema has its id.
        RegistryUnavailable: the registry did not answer.
    """
    schema_id, body = split(message)
    return read(resolution(registry, schema_id, subject), body)


def _refuse_lookalikes(subject: str, record: Mapping[str, Any]) -> None:
    """fastavro writes 5.9 as 5 and True as 1 where a whole number is due, and "ab" as "a", "b" where an array is."""
    whole, arrays = _fields(subject)
    for name in whole:
        if type(record.get(name, 0)) is not int:
            raise TypeError(f"a whole number is required on field {name}")
    for name in arrays:
        if not isinstance(record.get(name, ()), list | tuple):
            raise TypeError(f"an array is required on field {name}")


@cache
def _fields(subject: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of the whole numbers and of the arrays."""
    types = {field["name"]: field["type"] for field in parsed(subject)["fields"]}
    arrays = (name for name, type_ in types.items() if isinstance(type_, dict) and type_["type"] == "array")
    return tuple(name for name, type_ in types.items() if type_ in ("int", "long")), tuple(arrays)
