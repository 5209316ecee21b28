"""A rule as its author writes it: YAML in, a checked and frozen specification out.

In: the text of a rule file. Out: `Rule`, or `InvalidRule` with the place and the mend in one sentence.
Never: an evaluation (see `absence`, `conditions`), a file.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from schemas.records import ID_KINDS

_UNITS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_DURATION = re.compile(r"^(\d+)\s*(s|m|h|d)$")
_NAME = r"^[a-z][a-z0-9-]{0,63}$"
_TYPE = r"^[a-z][a-z0-9_]{0,63}$"


class InvalidRule(ValueError):
    """The rule text can't be taken; the message says where and why."""


def _milliseconds(value: Any) -> Any:
    match = _DURATION.match(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("a duration is a whole number with s, m, h or d, such as 90s or 1h")
    return int(match[1]) * _UNITS[match[2]]


def _not_taken(topic: str) -> str:
    if topic == "triggers.revoked":
        raise ValueError("triggers.revoked carries revocations, which have another schema")
    return topic


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Duration = Annotated[int, BeforeValidator(_milliseconds), Field(gt=0, le=366 * _UNITS["d"])]
EventType = Annotated[str, Field(pattern=_TYPE)]
EventTypes = Annotated[tuple[EventType, ...], BeforeValidator(_listed), Field(min_length=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Absence(_Strict):
    """`after` this event, none of `of` happened `within` this time, by the same business key."""

    after: EventType
    where: Annotated[str, Field(max_length=4_096)] = "true"
    of: EventTypes
    within: Duration
    same: Literal["order_id"]
    waits_for: tuple[str, ...] = ()
    """Sources that can bring what prevents it (`order`, `pos`, …); empty: all that carry events."""


class When(_Strict):
    """What makes the rule true."""

    absence: Absence


class Channel(_Strict):
    """A way to send: its name, and the kind of id (and, if set, its issuer) that it needs."""

    channel: Annotated[str, Field(pattern=_TYPE)]
    to: Literal[ID_KINDS]  # type: ignore[valid-type]  # mypy can't read a Literal from a tuple; pydantic checks it
    scope: str | None = None


class Send(_Strict):
    """Where a match goes, over which channels (the first that reaches the person), with what."""

    topic: Annotated[str, AfterValidator(_not_taken), Field(pattern=r"^triggers\.[a-z][a-z0-9_]*$")]
    expires_after: Duration
    channels: tuple[Channel, ...] = Field(min_length=1)
    content: dict[str, str] = {}


class Rule(_Strict):
    """One rule. `priority`: the lower number goes first when several are due at once."""

    rule: Annotated[str, Field(pattern=_NAME)]
    version: Annotated[int, Field(ge=1)]
    description: str = ""
    priority: Annotated[int, Field(ge=0, le=1_000)] = 100
    when: When
    send: Send


def parse_rule(text: str) -> Rule:
    """The rule of this YAML text.

    Raises:
        InvalidRule: it is no YAML, or a field is missing, unknown or out of range.
    """
    document = _document(text)
    try:
        return Rule.model_validate(document)
    except ValidationError as error:
        raise InvalidRule("; ".join(_sentence(problem) for problem in _causes(error.errors()))) from error


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


def _document(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except (
        yaml.YAMLError,
        ValueError,
        AttributeError,
        LookupError,
        RecursionError,
    ) as error:  # the loader raises all of these
        raise InvalidRule(f"not YAML: {' '.join(str(error).split())[:300]}") from error


def _sentence(problem: Any) -> str:
    place = ".".join(str(part) for part in problem["loc"]) or "the document"
    return f"{place}: {problem['msg']}"
