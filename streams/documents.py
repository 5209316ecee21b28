"""Documents that operators write in YAML: how durations, event types and faults look in every one of them.

In: the text of a document and the model that it must fit. Out: the model, or one sentence with the place and the mend.
Never: a file; what a document means.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from copy import deepcopy
from functools import lru_cache
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

MINUTE_MS = 60_000
DAY_MS = 86_400_000
_UNITS = {"s": 1_000, "m": MINUTE_MS, "h": 3_600_000, "d": DAY_MS}
_DURATION = re.compile(r"^(\d+)\s*(s|m|h|d)$")
_HALF = re.compile(r"\\(?:u|U0000)[dD][89a-fA-F][0-9a-fA-F]{2}")
NAME = r"^[a-z][a-z0-9-]{0,63}$"
TYPE = r"^[a-z][a-z0-9_]{0,63}$"
LONGEST_MS = 366 * DAY_MS
"""No duration of a document is longer, so nothing need be remembered for longer."""


class InvalidDocument(ValueError):
    """The text can't be taken; the message says where and why."""


def milliseconds(value: Any) -> Any:
    """The milliseconds of a duration such as 90s or 1h.

    Raises ValueError for anything else.
    """
    match = _DURATION.match(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("a duration is a whole number with s, m, h or d, such as 90s or 1h")
    return int(match[1]) * _UNITS[match[2]]


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Duration = Annotated[int, BeforeValidator(milliseconds), Field(gt=0, le=LONGEST_MS)]
EventType = Annotated[str, Field(pattern=TYPE)]
MaybeEventTypes = Annotated[tuple[EventType, ...], BeforeValidator(_listed)]
EventTypes = Annotated[tuple[EventType, ...], BeforeValidator(_listed), Field(min_length=1)]


class Strict(BaseModel):
    """A part of a document: frozen, and a field that it doesn't know is a fault."""

    model_config = ConfigDict(extra="forbid", frozen=True)


M = TypeVar("M", bound=BaseModel)


def parse(model: type[M], text: str, fault: type[InvalidDocument]) -> M:
    """The document of this YAML text.

    Raises:
        InvalidDocument: as `fault`: it is no YAML, or a field is missing, unknown or out of range.
    """
    document = _document(text, fault)
    try:
        return model.model_validate(document)
    except ValidationError as error:
        raise fault("; ".join(_sentence(problem) for problem in _causes(error.errors()))) from error


def _causes(problems: Sequence[Any]) -> list[Any]:
    """Without "too short" of a list that is so only because its items were found wrong."""
    places = [problem["loc"] for problem in problems]
    return [
        problem
        for problem in problems
        if problem["type"] != "too_short" or not any(_within(place, problem["loc"]) for place in places)
    ]


def _within(place: tuple[Any, ...], outer: tuple[Any, ...]) -> bool:
    return len(place) > len(outer) and place[: len(outer)] == outer


def _document(text: str, fault: type[InvalidDocument]) -> Any:
    if half := _HALF.search(text):
        raise fault(f"not YAML: {half[0]} is half a character, which no record can hold; write the character itself")
    try:
        return loaded(text)
    except (
        yaml.YAMLError,
        ValueError,
        TypeError,
        ArithmeticError,
        AttributeError,
        LookupError,
        RecursionError,
    ) as error:  # the loader raises all of these
        raise fault(f"not YAML: {' '.join(str(error).split())[:300]}") from error


def loaded(text: str) -> Any:
    """What YAML text says. Raises what the YAML loader does."""
    return deepcopy(_loaded(text))


@lru_cache(256)
def _loaded(text: str) -> Any:
    """The same text comes again and again, and to read it takes milliseconds."""
    return yaml.safe_load(text)


def _sentence(problem: Any) -> str:
    place = ".".join(str(part) for part in problem["loc"]) or "the document"
    return f"{place}: {problem['msg']}"
