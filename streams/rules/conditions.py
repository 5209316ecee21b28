"""Conditions over an event in CEL (Common Expression Language), by a kept library.

In: an expression, an event's fields. Out: true or false. Never: an error at run time; a comparison with a field that
is not there is false.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import cel

from streams.rules.spec import InvalidRule

FIELDS = (
    "event_id",
    "tenant",
    "event_type",
    "event_time",
    "touchpoint",
    "scene",
    "channel",
    "campaign",
    "order_id",
    "amount_fen",
    "item_id",
    "category",
    "properties",
)
"""What a condition may name of an event; `properties` is a map of text."""

_TEXT = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""")
_UNREAD = re.compile(r"""//|'''|\"\"\"|\b[rRbB]{1,2}['"]""")
"""Comments, raw and triple-quoted texts: too much to read by expressions, so such a condition gets all fields."""

_EVENT = re.compile(r"(?<![\w.])event\b")
_FIELD = re.compile(r"(?<![\w.])event\s*\.\s*(\w+)")

Condition = Callable[[Mapping[str, Any]], bool]


def compile_condition(expression: str) -> Condition:
    """A test of `event` by this expression.

    Raises:
        InvalidRule: the expression does not parse, or names something other than `event`.
    """
    if expression == "true":
        return lambda event: True
    program = _compiled(expression)
    names = _named(expression)

    def holds(event: Mapping[str, Any]) -> bool:
        there = {name: value for name in names if (value := event[name]) is not None}
        try:
            return program.execute({"event": there}) is True
        except Exception:  # the library raises many kinds for a missing field or a null: all mean "does not hold"
            return False

    return holds


def _named(expression: str) -> tuple[str, ...]:
    """The fields that the expression names: only they are handed over, since handing over costs most of it.

    Raises InvalidRule for one that an event does not have.
    """
    if _UNREAD.search(expression):
        return FIELDS
    bare = _TEXT.sub("", expression)
    found = set(_FIELD.findall(bare))
    if unknown := sorted(found - set(FIELDS)):
        raise InvalidRule(f"where: an event has no field {unknown[0]}; it has {', '.join(FIELDS)}")
    return tuple(sorted(found)) if len(_FIELD.findall(bare)) == len(_EVENT.findall(bare)) else FIELDS


def _compiled(expression: str) -> Any:
    try:
        program = cel.compile(expression)
    except ValueError as error:
        raise InvalidRule(f"where: {' '.join(str(error).split())}") from error
    unknown = sorted(set(program.variables()) - {"event"})
    if unknown:
        raise InvalidRule(f"where: {unknown[0]} is not known; a condition is over event, as in event.amount_fen")
    return program
