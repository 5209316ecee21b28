"""How records of a writer's schema, ours or older or newer or a stranger's, become records of our newest version.

In: a writer's schema, bodies (a message without its five bytes of framing). Out: records, one by one.
Never: framing (see `codec`), batches (see `arrow`), a record that was read only in part.

A logical type is what a reader makes of a number or text, so we drop the writer's: times stay milliseconds in a plain
int. Records match by name without namespace and fields by name, as the Avro specification says: a field that the
writer lacks takes our default, one that we lack is dropped, int becomes long.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, cast
from weakref import WeakKeyDictionary

import fastavro
from fastavro.schema import SchemaParseException, UnknownType

from schemas.columnar import wire_schema
from schemas.registry import Registry
from schemas.released import Schema, schema, subject_of

_SHAPE: Final = ("type", "name", "namespace", "fields", "items", "values", "symbols", "size", "default")
_LONGEST_REASON: Final = 300
_MALFORMED: Final = (
    SchemaParseException,
    UnknownType,
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
    RecursionError,
)


@dataclass(frozen=True, slots=True)
class Resolution:
    """What it takes to read one writer's schema."""

    subject: str
    writer: Any
    reader: Any | None  # None where the writer's schema is ours
    wire: str | None  # for whole batches, see `columnar`; None where records must be read one by one


class Unreadable(ValueError):
    """These bytes are not a record of the schema that they name."""


def plain(node: Any) -> Any:
    """The schema without what changes no byte: logical types, docs, aliases, what tools noted down."""
    if isinstance(node, list):
        return [plain(one) for one in node]
    if not isinstance(node, dict):
        return node
    kept = {key: value if key == "default" else plain(value) for key, value in node.items() if key in _SHAPE}
    return kept["type"] if kept.keys() == {"type"} else kept


@cache
def parsed(subject: str) -> Any:
    """Our newest version, plain and parsed, as fastavro takes it."""
    return fastavro.parse_schema(plain(schema(subject)))


def resolve(writer: Schema, subject: str | None = None) -> Resolution:
    """How records of `writer` become records of our newest version of `subject` (None: the one of that name).

    Raises:
        Unreadable: it is a record of another name, or not a schema.
    """
    bare = plain(writer)
    ours = _subject(writer, subject)
    same = bare == plain(schema(ours))
    try:
        wire = wire_schema(bare, plain(schema(ours)))
        return Resolution(ours, fastavro.parse_schema(bare), None if same else parsed(ours), wire)
    except _MALFORMED as error:
        raise Unreadable(f"the writer's schema is not an Avro schema: {error}"[:_LONGEST_REASON]) from None


def _subject(writer: Schema, wanted: str | None) -> str:
    name = writer.get("name") if isinstance(writer, dict) and writer.get("type") == "record" else None
    found = subject_of(name) if isinstance(name, str) else None
    if found is None or wanted not in (None, found):
        raise Unreadable(f"the writer's schema is {name or 'not a record'}, not {wanted or 'one of ours'}")
    return found


_remembered: WeakKeyDictionary[Registry, dict[tuple[int, str | None], Resolution]] = WeakKeyDictionary()


def resolution(registry: Registry, schema_id: int, subject: str | None = None) -> Resolution:
    """`resolve` for the schema of that id, remembered as long as the registry lives.

    Raises:
        UnknownSchema: no schema has this id.
        RegistryUnavailable: the registry did not answer.
        Unreadable: as `resolve`.
    """
    known = _remembered.setdefault(registry, {})
    found = known.get((schema_id, subject))
    if found is None:
        found = known[schema_id, subject] = resolve(registry.writer(schema_id), subject)
    return found


def read(by: Resolution, body: bytes) -> dict[str, Any]:
    """The record of this body, in our newest version; times are int milliseconds.

    Raises:
        Unreadable: the body ends early, goes on after the record, or does not fit the schema.
    """
    source = io.BytesIO(body)
    try:
        record = cast("dict[str, Any]", fastavro.schemaless_reader(source, by.writer, by.reader))
    except MemoryError:
        raise
    except Exception as error:
        # fastavro names no set of exceptions; whatever it raises on bytes is the bytes' fault.
        raise Unreadable(f"{type(error).__name__}: {error}"[:_LONGEST_REASON]) from None
    if source.tell() != len(body):
        raise Unreadable(f"{len(body) - source.tell()} bytes follow after the record")
    return record
