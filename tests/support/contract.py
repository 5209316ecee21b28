"""Public records through their Avro schemas, by the files themselves and no code of ours.

In: a record. Out: what a reader of the topic gets. Never: the registry, the codec.
"""

from __future__ import annotations

import io
import json
from functools import cache
from pathlib import Path
from typing import Any

import fastavro

_AVRO = Path(__file__).parents[2] / "schemas" / "avro"


@cache
def _schema(subject: str) -> Any:
    newest = max((_AVRO / subject).glob("v*.avsc"), key=lambda path: int(path.stem[1:]))
    return _plain(json.loads(newest.read_text()))


def _plain(schema: Any) -> Any:
    """Without logical types, so that a time stays the number that it was."""
    if isinstance(schema, dict):
        return {name: _plain(value) for name, value in schema.items() if name != "logicalType"}
    return [_plain(part) for part in schema] if isinstance(schema, list) else schema


def written_and_read(subject: str, record: dict[str, Any]) -> Any:
    """The record after a strict writer and a reader. Raises ValueError where a field is missing or too many."""
    packed = io.BytesIO()
    fastavro.schemaless_writer(packed, _schema(subject), record, strict=True)
    packed.seek(0)
    return fastavro.schemaless_reader(packed, _schema(subject), None)
