"""Conditions over an event in CEL (Common Expression Language), by a kept library.

In: an expression, an event's fields. Out: true or false. Never: an error at run time; a comparison with a field that
is not there is false.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import cel

from streams.rules.spec import InvalidRule

Condition = Callable[[Mapping[str, Any]], bool]


def compile_condition(expression: str) -> Condition:
    """A test of `event` by this expression.

    Raises:
        InvalidRule: the expression does not parse, or names something other than `event`.
    """
    if expression == "true":
        return lambda event: True
    program = _compiled(expression)

    def holds(event: Mapping[str, Any]) -> bool:
        try:
            return program.execute({"event": event}) is True
        except Exception:  # the library raises many kinds for a missing field or a null: all mean "does not hold"
            return False

    return holds


def _compiled(expression: str) -> Any:
    try:
        program = cel.compile(expression)
    except ValueError as error:
        raise InvalidRule(f"where: {' '.join(str(error).split())}") from error
    unknown = sorted(set(program.variables()) - {"event"})
    if unknown:
        raise InvalidRule(f"where: {unknown[0]} is not known; a condition is over event, as in event.amount_fen")
    return program
