"""A rule as its author writes it: YAML in, a checked and frozen specification out.

In: the text of a rule file. Out: `Rule`, or `InvalidRule` with the place and the mend in one sentence.
Never: an evaluation, a file. What the kinds of rules ask for is in `kinds`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from schemas.records import ID_KINDS
from streams.documents import (
    LONGEST_MS,
    NAME,
    TYPE,
    Duration,
    InvalidDocument,
    MaybeEventTypes,
    Strict,
    milliseconds,
    parse,
)
from streams.rules.examples import Example
from streams.rules.kinds import When
from streams.rules.steps import BestHour, Choice, Journey, Topic, fault_in

ALWAYS, ONCE = 0, -1
"""What `re_entry` is in milliseconds where it is no duration."""


class InvalidRule(InvalidDocument):
    """The rule text can't be taken; the message says where and why."""


def _re_entry(value: Any) -> Any:
    if value in ("always", "once"):
        return ALWAYS if value == "always" else ONCE
    try:
        return milliseconds(value)
    except ValueError as error:
        raise ValueError("re_entry is always, once, or a duration such as 30d") from error


class Channel(Strict):
    """A way to send: its name, and the kind of id (and, if set, its issuer) that it needs."""

    channel: Annotated[str, Field(pattern=TYPE)]
    to: Literal[ID_KINDS]  # type: ignore[valid-type]  # mypy can't read a Literal from a tuple; pydantic checks it
    scope: str | None = None


class Send(Strict):
    """Where a match goes, over which channels, with what, and when it does not go."""

    topic: Topic
    expires_after: Duration
    channels: tuple[Channel, ...] = Field(min_length=1)
    content: dict[str, str] = Field(default_factory=dict)
    choose: Choice = "first"
    best_hour_within: BestHour | None = None
    exit_on: MaybeEventTypes = ()
    """What the person does that ends a match before it is sent, and is its conversion after."""
    re_entry: Annotated[int, BeforeValidator(_re_entry), Field(le=LONGEST_MS)] = ALWAYS
    cool_down: Duration | None = None
    quiet_hours: Literal["policy", "ignore"] = "policy"
    control_percent: Annotated[float, Field(ge=0, le=100)] = 0


class Rule(Strict):
    """One rule. `priority`: the lower number goes first when several are due at once."""

    rule: Annotated[str, Field(pattern=NAME)]
    version: Annotated[int, Field(ge=1, le=2**31 - 1)]
    description: str = ""
    priority: Annotated[int, Field(ge=0, le=1_000)] = 100
    when: When
    send: Send
    journey: Journey | None = None
    """What a match leads through, in place of one message; `send` is then what holds for all of its messages."""
    examples: tuple[Example, ...] = ()
    """What it does, by example: `siyu rules test` runs them."""

    @model_validator(mode="after")
    def _waits_no_longer_than_it_may(self) -> Rule:
        hours = [("send", self.send.best_hour_within, self.send.expires_after)]
        for at, step in enumerate(self.journey.steps if self.journey is not None else ()):
            if (emit := step.emit) is not None:
                place = f"journey.steps.{at}.emit"
                hours.append((place, emit.best_hour_within, emit.expires_after or self.send.expires_after))
        for place, within, expires_after in hours:
            if (within or 0) > expires_after:
                raise ValueError(f"{place}.best_hour_within: it is longer than expires_after, so it would have expired")
        return self

    @model_validator(mode="after")
    def _leads_somewhere(self) -> Rule:
        if self.journey is None:
            return self
        if fault := fault_in(self.journey, tuple(channel.channel for channel in self.send.channels)):
            raise ValueError(fault)
        entering = self.when.event.of if self.when.event is not None else ()
        if both := sorted(set(entering) & set(self.send.exit_on)):
            raise ValueError(f"send.exit_on: {both[0]} can't both begin the journey and end it")
        return self


def parse_rule(text: str) -> Rule:
    """The rule of this YAML text.

    Raises:
        InvalidRule: it is no YAML, or a field is missing, unknown or out of range.
    """
    return parse(Rule, text, InvalidRule)
