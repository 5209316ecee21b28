"""Conditions of branches in CEL: over the event that began a journey, the person, and the steps gone through.

In: an expression; the fields of an event, tags and traits, what came of earlier steps. Out: true or false.
Never: an error at run time; a comparison with what is not there is false.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

import cel

from streams.rules.conditions import FIELDS
from streams.rules.spec import InvalidRule

_TEXT = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""")
_UNREAD = re.compile(r"""//|'''|\"\"\"|\b[rRbB]{1,2}['"]""")
_NAMED = re.compile(r"(?<![\w.])(event|person|steps)\b(?:\s*\.\s*(\w+))?(?:\s*\.\s*(\w+))?")


class Context(NamedTuple):
    """What is known where a branch is decided. `traits` answers a trait by name, None where there is none."""

    event: Mapping[str, Any]
    tags: Sequence[str]
    traits: Callable[[str], str | None]
    steps: Mapping[str, str]


class Branch(NamedTuple):
    """A compiled condition: the event's fields and the person's traits that it names."""

    fields: tuple[str, ...]
    traits: tuple[str, ...]
    program: Any

    def holds(self, context: Context) -> bool:
        """Whether it is true."""
        traits = {name: value for name in self.traits if (value := context.traits(name)) is not None}
        person = {"tags": list(context.tags), "traits": traits}
        event = {name: value for name, value in context.event.items() if value is not None}
        try:
            found = self.program.execute({"event": event, "person": person, "steps": dict(context.steps)})
        except Exception:  # the library raises many kinds for a missing field or a null: all mean "does not hold"
            return False
        return found is True


def compile_branch(expression: str, earlier: Collection[str], *, of_event: bool) -> Branch:
    """A condition that may name these earlier steps, and the event only where there is one (`of_event`).

    Raises:
        InvalidRule: it does not parse, or names what is not there.
    """
    if _UNREAD.search(expression):
        raise InvalidRule("where: a branch takes no comments, raw or triple-quoted texts")
    try:
        program = cel.compile(expression)
    except ValueError as error:
        raise InvalidRule(f"where: {' '.join(str(error).split())}") from error
    if unknown := sorted(set(program.variables()) - {"event", "person", "steps"}):
        raise InvalidRule(f"where: {unknown[0]} is not known; a branch is over event, person and steps")
    named = [match.groups() for match in _NAMED.finditer(_TEXT.sub('""', expression))]
    for root, field, _ in named:
        _assert_there(root, field or "", earlier, of_event=of_event)
    fields = sorted({field for root, field, _ in named if root == "event"})
    of_person = {name for root, field, name in named if root == "person" and field == "traits"}
    if None in of_person:  # asked as traits["city"] or "city" in traits: any text of the expression may be the name
        of_person |= {text[1:-1] for text in _TEXT.findall(expression)}
    traits = sorted(name for name in of_person if name)
    return Branch(tuple(fields), tuple(traits), program)


def _assert_there(root: str, field: str, earlier: Collection[str], *, of_event: bool) -> None:
    if root == "event" and not of_event:
        raise InvalidRule("where: only a journey that begins with when.event keeps its event; name person or steps")
    there = {"event": FIELDS, "person": ("tags", "traits")}.get(root)
    if there is not None and field not in there:
        raise InvalidRule(f"where: {root} has {', '.join(there)}; not {field or 'itself'}")
    if root == "steps" and field and field not in earlier:
        raise InvalidRule(f"where: no earlier step is named {field}")
