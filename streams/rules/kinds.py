"""The kinds of rules: what each asks for, as its author writes it.

In: the mapping under `when`. Out: one frozen clause that knows which event types it hears and on which conditions.
Never: an evaluation (see `absence`, `sequence`, `windows`, `interval`).
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from streams.documents import TYPE, Duration, EventType, EventTypes, Strict

Where = Annotated[str, Field(max_length=4_096)]
Value = Annotated[
    str, Field(pattern=r"^(amount_fen|item_id|category|order_id|scene|channel|campaign|properties\.\w{1,64})$")
]
_CLOCK = re.compile(r"^([01]\d|2[0-3]):([0-5]\d)$")


def minute_of_day(value: Any) -> Any:
    """The minute of the day of a time such as "09:00".

    Raises ValueError for anything else.
    """
    match = _CLOCK.match(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError('a time of day is HH:MM in quotes, such as "09:00"')
    return int(match[1]) * 60 + int(match[2])


Minute = Annotated[int, BeforeValidator(minute_of_day)]
Clause = tuple[str, tuple[str, ...], str]
"""A part of a rule that hears events: its place below the kind, their types, the condition on them."""


class Absence(Strict):
    """`after` this event, none of `of` happened `within` this time, by the `same` business key or person."""

    after: EventType
    where: Where = "true"
    of: EventTypes
    within: Duration
    same: Literal["order_id", "person"]
    waits_for: tuple[str, ...] = ()
    """Sources that can bring what prevents it (`order`, `pos`, …); empty: all that carry events."""
    patience: Duration | None = None
    """How long after its end it waits for a source that is late; None: as long as it takes."""

    @property
    def clauses(self) -> list[Clause]:
        """What begins it, and what ends it."""
        return [("", (self.after,), self.where), ("of", self.of, "true")]


class Happened(Strict):
    """One of these events happened; with `wait`, that long ago."""

    of: EventTypes
    where: Where = "true"
    wait: Duration | None = None

    @property
    def clauses(self) -> list[Clause]:
        """The event."""
        return [("", self.of, self.where)]


class Step(Strict):
    """One event of a sequence."""

    event: EventType
    where: Where = "true"


class Sequence(Strict):
    """These events, one after another, all `within` this time."""

    steps: tuple[Step, ...] = Field(min_length=2, max_length=10)
    within: Duration

    @property
    def clauses(self) -> list[Clause]:
        """Its steps."""
        return [(f"steps.{number}", (step.event,), step.where) for number, step in enumerate(self.steps)]

    @model_validator(mode="after")
    def _different_types(self) -> Sequence:
        types = [step.event for step in self.steps]
        if len(set(types)) < len(types):
            raise ValueError("each step needs an event type of its own; to count one type there is count")
        return self


class Count(Strict):
    """At least so many of these events in a sliding window."""

    of: EventTypes
    where: Where = "true"
    at_least: Annotated[int, Field(ge=1)]
    within: Duration

    @property
    def clauses(self) -> list[Clause]:
        """What counts."""
        return [("", self.of, self.where)]


class Total(Count):
    """A field of these events adds up to at least so much in a sliding window."""

    value: Value


class Distinct(Count):
    """At least so many different values of a field of these events in a sliding window."""

    value: Value


class Threshold(Strict):
    """A value that these events report has come to at least so much."""

    of: EventTypes
    where: Where = "true"
    value: Value
    at_least: int

    @property
    def clauses(self) -> list[Clause]:
        """What reports it."""
        return [("", self.of, self.where)]


class Interval(Strict):
    """`until` came after `since`, at least or at most so long after it."""

    since: EventType
    until: EventType
    where: Where = "true"
    at_least: Duration | None = None
    at_most: Duration

    @property
    def clauses(self) -> list[Clause]:
        """Both ends; the condition is on the later one."""
        return [("since", (self.since,), "true"), ("", (self.until,), self.where)]

    @model_validator(mode="after")
    def _can_be(self) -> Interval:
        if self.since == self.until:
            raise ValueError("since and until are the same event type; to count one type there is count")
        if (self.at_least or 0) > self.at_most:
            raise ValueError("at_least is more than at_most: nothing could ever match")
        return self


class DateOf(Strict):
    """A day of each year that a trait of the person names, or so many days after it (before it, if negative), `at` this
    time where they live. Who was born on 29 February has it on `leap` in other years."""

    trait: Annotated[str, Field(pattern=TYPE)]
    at: Minute
    days: Annotated[int, Field(ge=-180, le=180)] = 0
    leap: Literal["feb_28", "mar_01"] = "feb_28"

    @property
    def clauses(self) -> list[Clause]:
        """None: what tells the trait stands in the delivery policy."""
        return []


Kind = Absence | Happened | Sequence | Count | Total | Distinct | Threshold | Interval | DateOf


class When(Strict):
    """What makes the rule true: exactly one of these."""

    absence: Absence | None = None
    event: Happened | None = None
    sequence: Sequence | None = None
    count: Count | None = None
    sum: Total | None = None
    distinct: Distinct | None = None
    threshold: Threshold | None = None
    interval: Interval | None = None
    date: DateOf | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> When:
        if len(self.model_fields_set) != 1:
            raise ValueError(f"when has exactly one of {', '.join(type(self).model_fields)}")
        return self

    @property
    def name(self) -> str:
        """What the kind is called."""
        return next(iter(self.model_fields_set))

    @property
    def kind(self) -> Kind:
        """The one that is there."""
        found: Kind = getattr(self, self.name)
        return found
