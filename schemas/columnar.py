"""Which writers' schemas the column decoder can read straight into our columns.

In: a writer's schema and ours, both plain (see `resolution.plain`). Out: what to hand to the decoder, or None.
Never: bytes; a schema that the decoder is not known to read exactly as fastavro does.

pyruhvro panics on bytes and fixed, and knows nothing of our schema, so a schema goes to it only where every type in
it is known to be read, and where each of our fields is there as it is, as int for long, or can take its default.
int is handed over as long: on the wire they are the same. One more field is put at the end, `END`; see `arrow`.
"""

from __future__ import annotations

import json
from typing import Any, Final

from schemas.released import Schema

END: Final = "_end_of_record"

_PRIMITIVES: Final = frozenset({"null", "boolean", "int", "long", "float", "double", "string"})
_DEEPEST: Final = 8

Names = dict[str, Any]


def wire_schema(writer: Schema, reader: Schema) -> str | None:
    """The writer's schema as JSON for the column decoder, None where its records must be read one by one."""
    names, ours = _named(writer), _named(reader)
    if names is None or ours is None or any(field["name"] == END for field in writer["fields"]):
        return None
    if not _supported(writer, names, 0) or not _fits(writer, reader, names, ours):
        return None
    widened = _widened(writer)
    return json.dumps({**widened, "fields": [*widened["fields"], {"name": END, "type": "string"}]})


def _named(schema: Schema) -> Names | None:
    """Named types by name without namespace, None where two share one."""
    found: Names = {}
    stack: list[Any] = [schema]
    while stack:
        node = stack.pop()
        if isinstance(node, dict) and "name" in node and isinstance(node["type"], str) and node["type"] in _NAMING:
            if _bare(node["name"]) in found:
                return None
            found[_bare(node["name"])] = node
        stack.extend(_children(node))
    return found


_NAMING: Final = frozenset({"record", "error", "enum", "fixed"})


def _children(node: Any) -> list[Any]:
    if isinstance(node, list):
        return node
    if not isinstance(node, dict):
        return []
    return [field["type"] for field in node.get("fields", [])] + [
        node[key] for key in ("items", "values") if key in node
    ]


def _bare(name: str) -> str:
    return name.rpartition(".")[2]


def _lookup(node: Any, names: Names) -> Any:
    return names.get(_bare(node), node) if isinstance(node, str) and node not in _PRIMITIVES else node


def _supported(node: Any, names: Names, depth: int) -> bool:
    """Every type below is one that the decoder reads; a schema that holds itself runs into the depth."""
    node = _lookup(node, names)
    if depth > _DEEPEST or (isinstance(node, str) and node not in _PRIMITIVES):
        return False
    if isinstance(node, dict) and node["type"] not in ("record", "array", "map", "enum"):
        return False
    if isinstance(node, dict) and node["type"] == "record" and not node["fields"]:
        return False
    return all(_supported(child, names, depth + 1) for child in _children(node))


def _fits(writer: Any, reader: Any, names: Names, ours: Names) -> bool:
    """The column that the decoder makes of `writer` can become the one of `reader`, row by row."""
    writer, reader = _lookup(writer, names), _lookup(reader, ours)
    if isinstance(reader, list):
        return _fits_optional(writer, reader, names, ours)
    if isinstance(writer, str) or isinstance(reader, str):
        return bool(writer == reader or (writer, reader) == ("int", "long"))
    if not isinstance(writer, dict) or writer["type"] != reader["type"]:
        return False
    if writer["type"] == "record":
        return _fits_record(writer, reader, names, ours)
    inner = {"array": "items", "map": "values"}.get(writer["type"])
    return inner is not None and _fits(writer[inner], reader[inner], names, ours)


def _fits_optional(writer: Any, reader: list[Any], names: Names, ours: Names) -> bool:
    if len(reader) != 2 or reader[0] != "null":
        return False
    if not isinstance(writer, list):
        return writer != "null" and _fits(writer, reader[1], names, ours)
    return len(writer) == 2 and writer[0] == "null" and _fits(writer[1], reader[1], names, ours)


def _fits_record(writer: Schema, reader: Schema, names: Names, ours: Names) -> bool:
    theirs = {field["name"]: field["type"] for field in writer["fields"]}
    return _bare(writer["name"]) == _bare(reader["name"]) and all(
        _fits(theirs[field["name"]], field["type"], names, ours) if field["name"] in theirs else "default" in field
        for field in reader["fields"]
    )


def _widened(node: Any) -> Any:
    """The schema with long for int."""
    if isinstance(node, list):
        return [_widened(one) for one in node]
    if not isinstance(node, dict):
        return "long" if node == "int" else node
    return {
        key: _widened(value) if key in ("type", "items", "values", "fields") else value for key, value in node.items()
    }
