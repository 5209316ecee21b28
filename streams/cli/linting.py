"""What is wrong with the text of a rule or a policy, each fault with its line and its mend.

In: the text of a file. Out: faults, in the order of the lines. Never: a file; another judgement than the engine's: a
text without faults is one that `compile_rule` or `compile_policy` takes (and no key stands in it twice, and it blocks
nothing in vain).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from schemas.records import ID_KINDS
from streams.cli.idle import idle
from streams.delivery import policy as delivery
from streams.delivery.policy import CapSpec, DeliveryPolicy, Quiet
from streams.documents import InvalidDocument
from streams.identity.policy import DEFAULT, MergePolicy, compile_policy
from streams.identity.spec import Blocked, BridgeSpec, Hashed, KindSpec, PolicySpec, parse_policy
from streams.rules.book import USUAL, Compiled, Known, compile_rule
from streams.rules.examples import Example, Expected, Given
from streams.rules.kinds import (
    Absence,
    Count,
    DateOf,
    Distinct,
    Happened,
    Interval,
    Sequence,
    Step,
    Threshold,
    Total,
    When,
)
from streams.rules.spec import Channel, Rule, Send
from streams.rules.steps import Emit, Journey, JourneyStep, MostEntries, Share, WaitFor, Way

T = TypeVar("T")
Place = tuple[str | int, ...]

Models = Mapping[Place, type[BaseModel]]

_RULE: Models = {
    (): Rule,
    ("when",): When,
    ("when", "absence"): Absence,
    ("when", "event"): Happened,
    ("when", "sequence"): Sequence,
    ("when", "sequence", "steps"): Step,
    ("when", "count"): Count,
    ("when", "sum"): Total,
    ("when", "distinct"): Distinct,
    ("when", "threshold"): Threshold,
    ("when", "interval"): Interval,
    ("when", "date"): DateOf,
    ("send",): Send,
    ("send", "channels"): Channel,
    ("journey",): Journey,
    ("journey", "steps"): JourneyStep,
    ("journey", "steps", "wait_for"): WaitFor,
    ("journey", "steps", "branch"): Way,
    ("journey", "steps", "split"): Share,
    ("journey", "steps", "emit"): Emit,
    ("journey", "most_entries"): MostEntries,
    ("examples",): Example,
    ("examples", "given"): Given,
    ("examples", "expect"): Expected,
}
_POLICY: Models = {
    (): PolicySpec,
    **{("kinds", kind): KindSpec for kind in ID_KINDS},
    ("bridge",): BridgeSpec,
    ("blocked",): Blocked,
    ("hashed_phones",): Hashed,
}


class Fault(NamedTuple):
    """A sentence, and the line that it is about, from 1."""

    line: int
    sentence: str


def lint(text: str, known: Known = USUAL) -> Compiled | list[Fault]:
    """The rule of this text, or what is wrong with it."""
    return _linted(text, lambda given: compile_rule(given, known), _RULE)


def lint_delivery(text: str) -> DeliveryPolicy | list[Fault]:
    """The delivery policy of this text, or what is wrong with it."""
    return _linted(text, delivery.parse_policy, {(): DeliveryPolicy, ("quiet_hours",): Quiet, ("caps",): CapSpec})


def lint_policy(text: str) -> MergePolicy | list[Fault]:
    """The merge policy of this text, or what is wrong with it: also an entry of `blocked` that would block nothing."""
    found = _linted(text, lambda given: compile_policy(given, DEFAULT), _POLICY)
    if isinstance(found, list):
        return found
    spec, node = parse_policy(text)
    more = [Fault(line_of(node, place), f"{_dotted(place)} {told}") for place, told in idle(spec.blocked)]
    return sorted(more) or found


def _linted(text: str, take: Callable[[str], T], models: Models) -> T | list[Fault]:
    node = _composed(text)
    if isinstance(node, Fault):
        return [node]
    twice = list(_repeated(node))
    try:
        taken = take(text)
    except InvalidDocument as error:
        return sorted({*twice, *_faults(error, node, models)})
    except (ValueError, TypeError, RecursionError) as error:
        return [Fault(1, f"not YAML that can be read: {' '.join(str(error).split())}")]
    return sorted(twice) if twice else taken


def _composed(text: str) -> yaml.Node | Fault | None:
    try:
        return yaml.compose(text, yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        said = error.problem or error.context or "it can't be read"
        return Fault(mark.line + 1 if mark else 1, f"not YAML: {said}")
    except (yaml.YAMLError, RecursionError) as error:
        return Fault(1, f"not YAML: {' '.join(str(error).split())}")


def _repeated(node: yaml.Node | None, looked_at: set[yaml.Node] | None = None) -> Iterator[Fault]:
    """Keys that stand twice in one mapping: YAML takes the last one, and says nothing. An alias is looked at once."""
    looked_at = set() if looked_at is None else looked_at
    if node is None or node in looked_at:
        return
    looked_at.add(node)
    if isinstance(node, yaml.SequenceNode):
        for one in node.value:
            yield from _repeated(one, looked_at)
    elif isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if key.value in seen:
                yield Fault(key.start_mark.line + 1, f"{key.value} stands there twice")
            seen.add(key.value)
            yield from _repeated(value, looked_at)


def _faults(error: InvalidDocument, node: yaml.Node | None, models: Models) -> list[Fault]:
    cause = error.__cause__
    if isinstance(cause, ValidationError):
        problems = [problem for problem in cause.errors() if not _follows(problem, cause.errors())]
        return [_fault(problem, node, models) for problem in problems]
    place, sentence = _placed(str(error))
    return [Fault(line_of(node, place), sentence)]


def _follows(problem: Any, problems: list[Any]) -> bool:
    """A list counts as too short when its items are faulty: those are what to mend."""
    place = problem["loc"]
    inside = [other for other in problems if len(other["loc"]) > len(place) and other["loc"][: len(place)] == place]
    return problem["type"] == "too_short" and bool(inside)


def _placed(message: str) -> tuple[Place, str]:
    """Where a sentence of ours, such as `where: …` or `when.absence.of: …`, is about."""
    found = re.match(r"([a-z0-9_.]+): ", message)
    names = found[1].split(".") if found else []
    return tuple(int(name) if name.isdigit() else name for name in names), message


def _fault(problem: Any, node: yaml.Node | None, models: Models) -> Fault:
    place: Place = problem["loc"]
    if not place and problem["type"] == "value_error":
        place, sentence = _placed(str(problem["ctx"]["error"]))
        return Fault(line_of(node, place), sentence)
    line = line_of(node, place)
    name = _dotted(place) or "the document"
    return Fault(line, f"{name} {_sentence(problem, place, models)}")


def _dotted(place: Place) -> str:
    """The place as a reader finds it; pydantic calls a key that can't stand there `[key]`."""
    return ".".join(str(part) for part in place if part != "[key]")


_SAID = {
    "missing": "is missing",
    "model_type": "must be a mapping, with its fields indented below it",
    "model_attributes_type": "must be a mapping, with its fields indented below it",
    "dict_type": "must be a mapping, with its fields indented below it",
    "tuple_type": "must be a list",
    "literal_error": "must be {expected}",
    "string_pattern_mismatch": "must match {pattern}",
    "string_type": "must be text: put it in quotes",
    "value_error": "is not right: {error}",
}
"""By pydantic's type of an error, with what its context may fill in."""


def _sentence(problem: Any, place: Place, models: Models) -> str:
    if problem["type"] == "extra_forbidden":
        return f"is not known here{_advice(place, models)}"
    said = _SAID.get(problem["type"])
    if said is not None:
        return said.format(**problem.get("ctx", {}))
    message = str(problem["msg"])
    return f"is not right: {message[0].lower()}{message[1:]}"


def _advice(place: Place, models: Models) -> str:
    around = tuple(part for part in place[:-1] if not isinstance(part, int))
    model = models.get(around)
    known = list(model.model_fields) if model is not None else []
    close = difflib.get_close_matches(str(place[-1]), known, 1)
    if close:
        return f": did you mean {close[0]}?"
    return f"; known are {', '.join(known)}" if known else ""


def line_of(node: yaml.Node | None, place: Place) -> int:
    """The line, from 1, of the value at this place, or of the last part of the way that is there."""
    line = 1 if node is None else node.start_mark.line + 1
    for part in place:
        found = _step(node, part)
        if found is None:
            break
        line, node = found
    return line


def _step(node: yaml.Node | None, part: str | int) -> tuple[int, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        steps = ((key.start_mark.line + 1, value) for key, value in node.value if key.value == str(part))
        return next(steps, None)
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part].start_mark.line + 1, node.value[part]
    return None
