"""One JSON line as a behaviour event: every field there, of the type that the Avro schema names.

In: a line of text. Out: `Line`, or BadLine with the mend in one sentence. Never: what a field may hold beyond its type
(ingest decides that, and has its dead letters); the value of an identity in a message.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any, Final, NamedTuple, NoReturn

from schemas.released import Schema, schema

BESIDE: Final = ("received_ms", "source")
"""Keys of a line that are no fields of the event: when it arrived, and which topic it goes to."""

_INT: Final = {"int": 31, "long": 63}
_JSON_NAMES: Final[Mapping[type, str]] = {
    bool: "true or false",
    str: "text",
    int: "a number",
    float: "a number with a fraction",
    dict: "an object",
    list: "an array",
    type(None): "null",
}
_SURROGATE: Final = r"\ud"


class BadLine(ValueError):
    """The line can't be taken; the message is one sentence."""


class Line(NamedTuple):
    """An event, and what stood beside its fields (None where nothing did)."""

    event: dict[str, Any]
    source: str | None
    received_ms: int | None


def parse_line(text: str) -> Line:
    """The event of this line, with missing optional fields filled in. Raises BadLine."""
    found = _object(text)
    source = _beside(found, "source", str, "text")
    received_ms = _beside(found, "received_ms", int, "a whole number")
    fields = {name: value for name, value in found.items() if name not in BESIDE}
    return Line(_record("", _event_schema(), fields), source, received_ms)


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text, parse_constant=_no_number, object_pairs_hook=_without_repeats)
        if _SURROGATE in text.lower():
            json.dumps(found, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        raise BadLine(f"not JSON: {error.msg} at column {error.colno}") from None
    except UnicodeEncodeError:
        raise BadLine("not text: half of a surrogate pair, which UTF-8 can't hold") from None
    except RecursionError:
        raise BadLine("nested too deep") from None
    if not isinstance(found, dict):
        raise BadLine(f"a line is one JSON object, this is {_named(found)}")
    return found


def _no_number(text: str) -> NoReturn:
    raise BadLine(f"not JSON: {text} is no number")


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise BadLine(f"{next(name for name in names if names.count(name) > 1)} stands there twice")
    return found


def _beside(found: Mapping[str, Any], name: str, kind: type, wanted: str) -> Any:
    value = found.get(name)
    if value is not None and type(value) is not kind:
        raise BadLine(f"{name} is {_named(value)}, it must be {wanted}")
    if isinstance(value, int) and not 0 <= value < 1 << 62:
        raise BadLine(f"{name} is out of range")
    return value


@cache
def _event_schema() -> Schema:
    return schema("behaviour_event")


@cache
def _named_shapes() -> dict[str, Schema]:
    return {shape["name"]: shape for shape in _records(_event_schema())}


def _records(shape: Any) -> Iterator[Schema]:
    """Every record that is defined within a shape."""
    if isinstance(shape, list):
        for one in shape:
            yield from _records(one)
    elif isinstance(shape, dict):
        if shape.get("type") == "record":
            yield shape
        inner = [field["type"] for field in shape.get("fields", ())]
        yield from _records([*inner, shape.get("items"), shape["type"]])


def _record(place: str, shape: Schema, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        _refuse(place, value, "an object")
    fields = {field["name"]: field for field in shape["fields"]}
    if strangers := sorted(value.keys() - fields.keys()):
        raise BadLine(_stranger(place, strangers[0], list(fields)))
    return {name: _field(_under(place, name), field, value) for name, field in fields.items()}


def _field(place: str, field: Schema, record: Mapping[str, Any]) -> Any:
    if field["name"] in record:
        return _checked(place, field["type"], record[field["name"]])
    if "default" not in field:
        raise BadLine(f"{place} is missing")
    default = field["default"]
    return default.copy() if isinstance(default, dict | list) else default


def _checked(place: str, shape: Any, value: Any) -> Any:
    if isinstance(shape, list):
        return _either(place, shape, value)
    kind = shape["type"] if isinstance(shape, dict) else shape
    if kind in _CHECKS:
        return _CHECKS[kind](place, shape, value)
    return _checked(place, kind if isinstance(kind, dict) else _named_shapes()[kind], value)


def _either(place: str, shapes: list[Any], value: Any) -> Any:
    """A union of ours is null or one other type."""
    if value is None and "null" in shapes:
        return None
    return _checked(place, next(shape for shape in shapes if shape != "null"), value)


def _text(place: str, shape: Any, value: Any) -> str:
    return value if isinstance(value, str) else _refuse(place, value, "text")


def _whole(place: str, shape: Any, value: Any) -> int:
    if type(value) is not int:
        _refuse(place, value, "a whole number")
    bits = _INT[shape["type"] if isinstance(shape, dict) else shape]
    if not -(1 << bits) <= value < 1 << bits:
        raise BadLine(f"{place} is out of range")
    return value


def _array(place: str, shape: Any, value: Any) -> list[Any]:
    if not isinstance(value, list):
        _refuse(place, value, "an array")
    return [_checked(f"{place}[{at}]", shape["items"], one) for at, one in enumerate(value)]


def _map(place: str, shape: Any, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        _refuse(place, value, "an object")
    return {name: _checked(_under(place, name), shape["values"], one) for name, one in value.items()}


_CHECKS: Final[Mapping[Any, Callable[[str, Any, Any], Any]]] = {
    "string": _text,
    "int": _whole,
    "long": _whole,
    "array": _array,
    "map": _map,
    "record": _record,
}


def _stranger(place: str, name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, 1)
    where = f" in {place}" if place else ""
    advice = f": did you mean {close[0]}?" if close else "; what has no field of its own goes into properties"
    return f"there is no field {_short(name)}{where}{advice}"


def _refuse(place: str, value: Any, wanted: str) -> NoReturn:
    raise BadLine(f"{place} is {_named(value)}, it must be {wanted}")


def _under(place: str, name: str) -> str:
    return f"{place}.{_short(name)}" if place else _short(name)


def _short(name: str) -> str:
    return name if len(name) <= 64 else f"{name[:64]}…"


def _named(value: Any) -> str:
    return _JSON_NAMES[type(value)]
