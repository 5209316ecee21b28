"""The rules in force, by tenant, and which of them listen to an event type.

In: rule texts from the journal. Out: compiled rules. Never: a file; a rule that does not lint.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from schemas.records import SOURCES, TRIGGERS
from streams.journal.clock import ALL, EVENT_TOPICS
from streams.journal.tables import Tables
from streams.rules.conditions import Condition, compile_condition
from streams.rules.course import Course, compile_course
from streams.rules.spec import InvalidRule, Rule, parse_rule
from streams.rules.steps import Emit
from streams.rules.timers import patient

EVERY_TENANT = "*"


class Heard(NamedTuple):
    """A part of a rule that hears events: their types, and the condition on them."""

    types: tuple[str, ...]
    condition: Condition


@dataclass(frozen=True, slots=True)
class Compiled:
    """A rule ready to run: its clauses, and the group of sources that its clock waits for.

    Of a journey also its `course`, whose rule it is (`owner`), and the rule of each step that sends (`emits`).
    """

    rule: Rule
    clauses: tuple[Heard, ...]
    group: str
    course: Course | None = None
    owner: str = EVERY_TENANT
    emits: Mapping[str, Compiled] = field(default_factory=dict)

    @property
    def groups(self) -> tuple[str, ...]:
        """All groups of sources whose clocks it waits for."""
        return (self.group,) if self.course is None else (self.group, self.course.group)

    @property
    def waits(self) -> str:
        """The group of the timers of its waits: that of its sources, with its patience."""
        return patient(self.group, None if self.rule.when.absence is None else self.rule.when.absence.patience)

    def hears(self, event_type: str, event: Mapping[str, Any]) -> list[int]:
        """The numbers of the clauses that this event meets."""
        met = (number for number, clause in enumerate(self.clauses) if event_type in clause.types)
        return [number for number in met if self.clauses[number].condition(event)]


@dataclass(frozen=True, slots=True)
class Known:
    """What a rule may name: sources to wait for, and triggers to send."""

    sources: tuple[str, ...] = SOURCES
    triggers: tuple[str, ...] = TRIGGERS


USUAL = Known()


def compile_rule(text: str, known: Known | None = USUAL) -> Compiled:
    """The rule of this text; None for one that was taken before: what is known now doesn't matter to it.

    Raises:
        InvalidRule: it does not parse or its condition does not, or it names what is not known.
    """
    rule = parse_rule(text)
    absence = rule.when.absence
    if absence is not None and absence.after in absence.of:
        raise InvalidRule(f"when.absence.of: {absence.after} can't both start and end the wait")
    if absence is not None and rule.journey is None and (absence.patience or 0) > rule.send.expires_after:
        raise InvalidRule("when.absence.patience: it is longer than send.expires_after, so what it sends has expired")
    if known is not None:
        _assert_known(rule, known)
    group = _group(absence.waits_for if absence is not None else ())
    course = compile_course(rule, _group(rule.journey.waits_for if rule.journey is not None else ()))
    return Compiled(rule, tuple(_heard(rule)), group, course)


def _group(sources: Iterable[str]) -> str:
    return ",".join(sorted({EVENT_TOPICS + source for source in sources})) or ALL


def _heard(rule: Rule) -> Iterator[Heard]:
    for place, types, where in rule.when.kind.clauses:
        try:
            yield Heard(types, compile_condition(where))
        except InvalidRule as error:
            parts = ("when", rule.when.name, *([place] if place else []), str(error))
            raise InvalidRule(".".join(parts)) from error


def _assert_known(rule: Rule, known: Known) -> None:
    for place, waits_for in _waited(rule):
        if unknown := sorted(set(waits_for) - set(known.sources)):
            there = ", ".join(known.sources)
            raise InvalidRule(f"{place}.waits_for: no source is named {unknown[0]}; there are {there}")
    for place, topic in _topics(rule):
        if topic.removeprefix("triggers.") not in known.triggers:
            there = ", ".join(f"triggers.{name}" for name in known.triggers)
            raise InvalidRule(f"{place}: there is no topic {topic}; there are {there}")


def _waited(rule: Rule) -> Iterator[tuple[str, tuple[str, ...]]]:
    if rule.when.absence is not None:
        yield "when.absence", rule.when.absence.waits_for
    if rule.journey is not None:
        yield "journey", rule.journey.waits_for


def _topics(rule: Rule) -> Iterator[tuple[str, str]]:
    yield "send.topic", rule.send.topic
    for at, step in enumerate(rule.journey.steps if rule.journey is not None else ()):
        if step.emit is not None and step.emit.topic is not None:
            yield f"journey.steps.{at}.emit.topic", step.emit.topic


def _emits(compiled: Compiled, owner: str) -> dict[str, Compiled]:
    """For each step that sends a rule of its own, named `journey/step/version/owner`: a version stays what it was."""
    found = {}
    for name, step in (compiled.course.steps if compiled.course is not None else {}).items():
        if step.emit is not None:
            rule = compiled.rule
            of_step = {"rule": f"{rule.rule}/{name}/{rule.version}/{owner}", "send": _sends(rule, step.emit)}
            found[name] = replace(compiled, rule=rule.model_copy(update=of_step), course=None, owner=owner)
    return found


def _sends(rule: Rule, emit: Emit) -> Any:
    said = {name: value for name in type(emit).model_fields if (value := getattr(emit, name)) is not None}
    if emit.channels is not None:
        by_name = {channel.channel: channel for channel in rule.send.channels}
        said["channels"] = tuple(by_name[name] for name in emit.channels)
    return rule.send.model_copy(update=said)


class Book:
    """Rows `tenant␟rule` → text. A rule for tenant "*" is in force for every tenant that has none of that name.

    Table `editions`: owner␟journey␟version → text, of every version of a journey: whoever is inside may still need it.
    """

    def __init__(self, tables: Tables, known: Known = USUAL) -> None:
        self._known = known
        self._rows = tables.table("rules")
        self._texts = tables.table("editions")
        self._editions = {key: _owned(key, compile_rule(text, None)) for key, text in self._texts.items()}
        self._rules: dict[str, Compiled] = {key: self._in_force(key, text) for key, text in self._rows.items()}

    def _in_force(self, key: str, text: str) -> Compiled:
        """The rule that was kept; a journey's is the one object that its edition is."""
        compiled = _owned(key, compile_rule(text, None))
        return compiled if compiled.course is None else self._editions[f"{key}\x1f{compiled.rule.version}"]

    def apply(self, tenant: str, text: str) -> Compiled:
        """Puts a rule in force, in place of the one of that name, unless that one has a higher version.

        Raises InvalidRule and changes nothing.
        """
        compiled = compile_rule(text, self._known)
        key = f"{tenant}\x1f{compiled.rule.rule}"
        before = self._rules.get(key)
        if before is not None and before.rule.version > compiled.rule.version:
            raise InvalidRule(f"version: {before.rule.version} is in force, {compiled.rule.version} is older")
        compiled = _owned(key, compiled)
        if compiled.course is not None:
            self._keep(f"{key}\x1f{compiled.rule.version}", text, compiled)
        self._rules[key] = compiled
        self._rows.put(key, text)
        return compiled

    def _keep(self, key: str, text: str, compiled: Compiled) -> None:
        if self._texts.get(key, text) != text:
            raise InvalidRule(
                f"version: there was another text as {compiled.rule.version}; a changed journey is a new one"
            )
        self._texts.put(key, text)
        self._editions[key] = compiled

    def rule(self, tenant: str, name: str) -> Compiled | None:
        """The rule of this name that is in force for the tenant; of a journey's step that of its own version."""
        if "/" in name:
            journey, step, version, owner = name.split("/")
            edition = self.edition(owner, journey, int(version))
            return None if edition is None else edition.emits.get(step)
        return self._rules.get(f"{tenant}\x1f{name}") or self._rules.get(f"{EVERY_TENANT}\x1f{name}")

    def edition(self, owner: str, name: str, version: int) -> Compiled | None:
        """This version of a journey, in force or not."""
        return self._editions.get(f"{owner}\x1f{name}\x1f{version}")

    def editions(self, tenant: str) -> list[Compiled]:
        """Every version of the tenant's journeys."""
        return [one for _, one in sorted(self._editions.items()) if one.owner in (tenant, EVERY_TENANT)]

    def of(self, tenant: str) -> list[Compiled]:
        """The rules that are in force for the tenant, by name."""
        names = sorted({compiled.rule.rule for compiled in self._rules.values()})
        return [compiled for name in names if (compiled := self.rule(tenant, name)) is not None]

    def listening(self, tenant: str, event_type: str) -> tuple[Compiled, ...]:
        """The tenant's rules that match on this event type, by name."""
        return tuple(compiled for compiled in self.of(tenant) if _hears(compiled, event_type))

    def groups(self) -> set[str]:
        """The groups of sources whose clocks the rules wait for."""
        return {group for one in (*self._rules.values(), *self._editions.values()) for group in one.groups}


def _owned(key: str, compiled: Compiled) -> Compiled:
    owner = key.partition("\x1f")[0]
    return replace(compiled, owner=owner, emits=_emits(compiled, owner))


def _hears(compiled: Compiled, event_type: str) -> bool:
    return any(event_type in clause.types for clause in compiled.clauses)
