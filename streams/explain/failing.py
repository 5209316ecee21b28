"""Why a condition does not hold for an event: which part of it, and what the event has there.

In: an expression, an event's fields. Out: one sentence part; "" where it holds. Never: an error at run time.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from streams.rules.conditions import compile_condition
from streams.rules.spec import InvalidRule

_TOKEN = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|&&|\|\||[()\[\]{}?]""")
_NAMED = re.compile(r"(?<![\w.])event\.(properties(?:\.\w+|\[\"\w+\"\])|\w+)")
_OPEN, _CLOSE = "([{", ")]}"


def failing(where: str, event: Mapping[str, Any]) -> str:
    """What of this condition does not hold for the event, with the values that it names."""
    if compile_condition(where)(event):
        return ""
    part = next((part for part in conjuncts(where) if _fails(part, event)), where)
    values = ", ".join(f"event.{name} is {_shown(name, event)}" for name in dict.fromkeys(_NAMED.findall(part)))
    return f"`{part}` does not hold{f': {values}' if values else ''}"


def _fails(part: str, event: Mapping[str, Any]) -> bool:
    try:
        return not compile_condition(part)(event)
    except InvalidRule:
        return False


def conjuncts(where: str) -> list[str]:
    """The parts that `&&` joins on the outermost level; the whole where `||` or `?` stands there."""
    cuts = list(_outermost(where))
    if any(mark != "&&" for _, mark in cuts):
        return [where]
    starts = [0, *(at + 2 for at, _ in cuts)]
    ends = [*(at for at, _ in cuts), len(where)]
    return [where[start:end].strip() for start, end in zip(starts, ends, strict=True)]


def _outermost(where: str) -> Iterator[tuple[int, str]]:
    depth = 0
    for token in _TOKEN.finditer(where):
        mark = token.group()
        depth += (mark in _OPEN) - (mark in _CLOSE)
        if depth == 0 and mark in ("&&", "||", "?"):
            yield token.start(), mark


def _shown(name: str, event: Mapping[str, Any]) -> str:
    field, _, key = name.partition(".") if "." in name else name.rstrip('"]').partition('["')
    value = event.get(field)
    if key:
        value = (value or {}).get(key)
    return "not there" if value is None else json.dumps(value, ensure_ascii=False)
