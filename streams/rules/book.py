"""The rules in force, by tenant, and which of them listen to an event type.

In: rule texts from the journal. Out: compiled rules. Never: a file; a rule that does not lint.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from schemas.records import SOURCES, TRIGGERS
from streams.journal.clock import ALL, EVENT_TOPICS
from streams.journal.tables import Tables
from streams.rules.conditions import Condition, compile_condition
from streams.rules.spec import InvalidRule, Rule, parse_rule

EVERY_TENANT = "*"


class Heard(NamedTuple):
    """A part of a rule that hears events: their types, and the condition on them."""

    types: tuple[str, ...]
    condition: Condition


@dataclass(frozen=True, slots=True)
class Compiled:
    """A rule ready to run: its clauses, and the group of sources that its clock waits for."""

    rule: Rule
    clauses: tuple[Heard, ...]
    group: str

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
    if known is not None:
        _assert_known(rule, known)
    topics = sorted({EVENT_TOPICS + source for source in (absence.waits_for if absence is not None else ())})
    return Compiled(rule, tuple(_heard(rule)), ",".join(topics) or ALL)


def _heard(rule: Rule) -> Iterator[Heard]:
    for place, types, where in rule.when.kind.clauses:
        try:
            yield Heard(types, compile_condition(where))
        except InvalidRule as error:
            parts = ("when", rule.when.name, *([place] if place else []), str(error))
            raise InvalidRule(".".join(parts)) from error


def _assert_known(rule: Rule, known: Known) -> None:
    waits_for = rule.when.absence.waits_for if rule.when.absence is not None else ()
    if unknown := sorted(set(waits_for) - set(known.sources)):
        there = ", ".join(known.sources)
        raise InvalidRule(f"when.absence.waits_for: no source is named {unknown[0]}; there are {there}")
    if rule.send.topic.removeprefix("triggers.") not in known.triggers:
        there = ", ".join(f"triggers.{name}" for name in known.triggers)
        raise InvalidRule(f"send.topic: there is no topic {rule.send.topic}; there are {there}")


class Book:
    """Rows `tenant␟rule` → text. A rule for tenant "*" is in force for every tenant that has none of that name."""

    def __init__(self, tables: Tables, known: Known = USUAL) -> None:
        self._known = known
        self._rows = tables.table("rules")
        self._rules: dict[str, Compiled] = {key: compile_rule(text, None) for key, text in self._rows.items()}

    def apply(self, tenant: str, text: str) -> Compiled:
        """Puts a rule in force, in place of the one of that name, unless that one has a higher version.

        Raises InvalidRule and changes nothing.
        """
        compiled = compile_rule(text, self._known)
        key = f"{tenant}\x1f{compiled.rule.rule}"
        before = self._rules.get(key)
        if before is not None and before.rule.version > compiled.rule.version:
            raise InvalidRule(f"version: {before.rule.version} is in force, {compiled.rule.version} is older")
        self._rules[key] = compiled
        self._rows.put(key, text)
        return compiled

    def rule(self, tenant: str, name: str) -> Compiled | None:
        """The rule of this name that is in force for the tenant."""
        return self._rules.get(f"{tenant}\x1f{name}") or self._rules.get(f"{EVERY_TENANT}\x1f{name}")

    def of(self, tenant: str) -> list[Compiled]:
        """The rules that are in force for the tenant, by name."""
        names = sorted({compiled.rule.rule for compiled in self._rules.values()})
        return [compiled for name in names if (compiled := self.rule(tenant, name)) is not None]

    def listening(self, tenant: str, event_type: str) -> tuple[Compiled, ...]:
        """The tenant's rules that match on this event type, by name."""
        return tuple(compiled for compiled in self.of(tenant) if _hears(compiled, event_type))

    def groups(self) -> set[str]:
        """The groups of sources whose clocks the rules wait for."""
        return {compiled.group for compiled in self._rules.values()}


def _hears(compiled: Compiled, event_type: str) -> bool:
    return any(event_type in clause.types for clause in compiled.clauses)
