"""Journeys as their author writes them: the steps that a person goes through after a match.

In: the mapping under `journey`. Out: frozen steps, each of one kind. Never: a person; a move (see `engage.journeys`).
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from streams.documents import DAY_MS, TYPE, Duration, EventTypes, Strict
from streams.rules.kinds import Minute, Where

END = "end"
"""Where a path leads that is over."""

KINDS = ("wait", "wait_until", "wait_for", "branch", "split", "emit", "tag", "exit")
"""What a step may do: exactly one of these."""

REASONS = ("finished", "exited", "merged", "step_gone", "given_up")
"""Why somebody leaves, where no step `exit` says it in its own word."""


def _not_taken(topic: str) -> str:
    if topic == "triggers.revoked":
        raise ValueError("triggers.revoked carries revocations, which have another schema")
    return topic


def _own_word(reason: str) -> str:
    if reason in REASONS:
        raise ValueError(f"{reason} is a word of the engine's own; take another one")
    return reason


def _within_a_day(value: int) -> int:
    if value > DAY_MS:
        raise ValueError("each hour comes once a day: at most 24h")
    return value


Choice = Literal["first", "cheapest", "best"]
"""Which channel is tried first: as the rule lists them, by cost, or by how the person answered before."""
BestHour = Annotated[Duration, AfterValidator(_within_a_day)]
"""How long after its due time a message may wait for the hour at which the person answers most."""
Topic = Annotated[str, AfterValidator(_not_taken), Field(pattern=r"^triggers\.[a-z][a-z0-9_]*$")]
Target = Annotated[str, Field(pattern=TYPE)]


class WaitFor(Strict):
    """Until one of these events, or so long where none comes."""

    of: EventTypes
    where: Where = "true"
    within: Duration
    on_timeout: Target | None = None


class Way(Strict):
    """Where to go if this holds."""

    where: Where
    then: Target


class Share(Strict):
    """Where this share of persons goes."""

    percent: Annotated[float, Field(gt=0, le=100)]
    then: Target


class Emit(Strict):
    """What is sent: as the rule's `send` says, but for what stands here. `channels`: names of some of its channels."""

    topic: Topic | None = None
    expires_after: Duration | None = None
    channels: tuple[Annotated[str, Field(pattern=TYPE)], ...] | None = Field(default=None, min_length=1)
    content: dict[str, str] | None = None
    choose: Choice | None = None
    best_hour_within: BestHour | None = None
    quiet_hours: Literal["policy", "ignore"] | None = None


class JourneyStep(Strict):
    """One step, of one kind; it leads to `then`, else to the next in the list."""

    step: Annotated[str, Field(pattern=TYPE)]
    wait: Duration | None = None
    wait_until: Minute | None = None
    wait_for: WaitFor | None = None
    branch: tuple[Way, ...] | None = Field(default=None, min_length=1)
    split: tuple[Share, ...] | None = Field(default=None, min_length=1)
    emit: Emit | None = None
    tag: Annotated[str, Field(pattern=TYPE)] | None = None
    exit: Annotated[str, AfterValidator(_own_word), Field(pattern=TYPE)] | None = None
    then: Target | None = None

    @property
    def kind(self) -> str:
        """What it does."""
        return next(name for name in KINDS if getattr(self, name) is not None)

    @property
    def targets(self) -> list[tuple[str, str]]:
        """Where it may lead but to the next one: the place in the step, and the target."""
        ways = [(f"branch.{at}.then", way.then) for at, way in enumerate(self.branch or ())]
        ways += [(f"split.{at}.then", share.then) for at, share in enumerate(self.split or ())]
        late = self.wait_for.on_timeout if self.wait_for is not None else None
        named = (("wait_for.on_timeout", late), ("then", self.then))
        return ways + [(place, target) for place, target in named if target is not None]

    @model_validator(mode="after")
    def _one_kind(self) -> JourneyStep:
        if sum(getattr(self, name) is not None for name in KINDS) != 1:
            raise ValueError(f"a step does exactly one of {', '.join(KINDS)}")
        if self.exit is not None and self.then is not None:
            raise ValueError("nothing comes after exit: leave then out")
        if sum(share.percent for share in self.split or ()) > 100:
            raise ValueError("the percentages of a split are more than 100 together")
        return self


class MostEntries(Strict):
    """So many may enter in a day, week or month of the tenant's calendar."""

    most: Annotated[int, Field(ge=1)]
    per: Literal["day", "week", "month"]


class Journey(Strict):
    """Steps after a match, in order; a step may lead to a later one only, so that everybody arrives."""

    steps: tuple[JourneyStep, ...] = Field(min_length=1, max_length=100)
    waits_for: tuple[str, ...] = ()
    """Sources that can bring what steps wait for; empty: all that carry events."""
    running: Literal["finish", "move"] = "finish"
    """What a new version does with those inside: they finish under the one that they entered, or move to it."""
    most_entries: MostEntries | None = None
    most_inside: Annotated[int, Field(ge=1)] | None = None
    """At most so many persons inside at a time."""


def fault_in(journey: Journey, channels: tuple[str, ...]) -> str | None:
    """What is wrong among the steps, with its place; `channels` are the names that the rule's `send` has."""
    names = [step.step for step in journey.steps]
    for at, step in enumerate(journey.steps):
        place = f"journey.steps.{at}"
        if step.step in (*names[:at], END):
            return f"{place}.step: {step.step} is taken: each step has a name of its own, and {END} is none"
        for where, target in step.targets:
            if target not in (*names[at + 1 :], END):
                return f"{place}.{where}: no later step is named {target}"
        for name in (step.emit.channels if step.emit is not None else None) or ():
            if name not in channels:
                return f"{place}.emit.channels: send has no channel {name}; it has {', '.join(channels)}"
    return None
