"""A journey ready to run: its steps by name, what they wait for, how they branch.

In: a checked journey. Out: for each step what it hears, where it leads. Never: a person; a clock.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from streams.rules.branches import Branch, Context, compile_branch
from streams.rules.conditions import Condition, compile_condition
from streams.rules.spec import InvalidRule, Rule
from streams.rules.steps import END, JourneyStep


@dataclass(frozen=True, slots=True)
class Awaited:
    """What a step waits for: event types, and the condition on them."""

    step: str
    types: tuple[str, ...]
    condition: Condition


@dataclass(frozen=True, slots=True)
class Course:
    """The steps of one version. `group`: the sources whose clock its waits are on; `longest_ms`: the longest wait for
    an event; `fields`: what its branches name of the event that began it."""

    steps: Mapping[str, JourneyStep]
    after: Mapping[str, str]
    awaited: tuple[Awaited, ...]
    ways: Mapping[str, tuple[tuple[Branch, str], ...]]
    group: str
    longest_ms: int
    fields: tuple[str, ...]
    moves: bool

    @property
    def first(self) -> str:
        """Where everybody begins."""
        return next(iter(self.steps))

    def next(self, step: str) -> str:
        """Where a step leads if nothing else is said."""
        return self.steps[step].then or self.after[step]

    def late(self, step: str) -> str:
        """Where a wait leads that was in vain."""
        wait = self.steps[step].wait_for
        return (wait is not None and wait.on_timeout) or self.next(step)

    def way(self, step: str, context: Context) -> str:
        """Where a branch leads: the first way that holds, else the next step."""
        return next((then for branch, then in self.ways[step] if branch.holds(context)), self.next(step))


def compile_course(rule: Rule, group: str) -> Course | None:
    """The course of a rule that is a journey.

    Raises:
        InvalidRule: a condition does not parse, or names what is not there.
    """
    journey = rule.journey
    if journey is None:
        return None
    names = [step.step for step in journey.steps]
    ways = {step.step: tuple(_ways(rule, at)) for at, step in enumerate(journey.steps) if step.branch is not None}
    fields = {field for branches in ways.values() for branch, _ in branches for field in branch.fields}
    waits = [step.wait_for.within for step in journey.steps if step.wait_for is not None]
    return Course(
        steps={step.step: step for step in journey.steps},
        after=dict(zip(names, [*names[1:], END], strict=True)),
        awaited=tuple(_awaited(rule)),
        ways=ways,
        group=group,
        longest_ms=max(waits, default=0),
        fields=tuple(sorted(fields)),
        moves=journey.running == "move",
    )


def _awaited(rule: Rule) -> Iterator[Awaited]:
    for at, step in enumerate(rule.journey.steps if rule.journey is not None else ()):
        if step.wait_for is not None:
            try:
                yield Awaited(step.step, step.wait_for.of, compile_condition(step.wait_for.where))
            except InvalidRule as error:
                raise InvalidRule(f"journey.steps.{at}.wait_for.{error}") from error


def _ways(rule: Rule, at: int) -> Iterator[tuple[Branch, str]]:
    steps = rule.journey.steps if rule.journey is not None else ()
    earlier = [step.step for step in steps[:at]]
    for number, way in enumerate(steps[at].branch or ()):
        try:
            yield compile_branch(way.where, earlier, of_event=rule.when.event is not None), way.then
        except InvalidRule as error:
            raise InvalidRule(f"journey.steps.{at}.branch.{number}.{error}") from error
