"""Who became one: persons that are wholly part of another one now, out of what became known of nodes.

In: facts of who is who, and the persons as they are after them. Out: who became one, of whom. Never: a decision.

A merge does this, and so does an operator's link that lifts a cut, since then all is decided again. A node that only
changes over to another person, as in a cut, makes nobody one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from streams.identity.changes import IdentityFact, Merged, Moved, Unlinked


class Join(NamedTuple):
    """A person, the nodes of each one that it was before, and the event or command that made them one."""

    one_id: str
    parts: list[list[str]]
    cause: str


class Gone(NamedTuple):
    """Where a node belonged before, and by what it left."""

    one_id: str
    cause: str


def joins(
    facts: Iterable[IdentityFact], person: Callable[[str], str], members: Callable[[str], Sequence[str]]
) -> Iterator[Join]:
    """Who became one by these facts. `person` and `members` answer as of now."""
    before = _before(facts)
    came: dict[str, dict[Gone, list[str]]] = {}
    for node, gone in before.items():
        came.setdefault(person(node), {}).setdefault(gone, []).append(node)
    came.pop("", None)
    smaller = {gone.one_id for node, gone in before.items() if person(node) != gone.one_id}
    for one_id, groups in came.items():
        stayed = [node for node in members(one_id) if node not in before] if one_id not in smaller else []
        whole = [nodes for gone, nodes in groups.items() if gone.one_id != one_id and not members(gone.one_id)]
        parts = [part for part in (stayed, *whole) if part]
        if len(parts) > 1:
            yield Join(one_id, parts, next(iter(groups)).cause)


def _before(facts: Iterable[IdentityFact]) -> dict[str, Gone]:
    """The first person that each node left."""
    before: dict[str, Gone] = {}
    moved: list[Moved] = []
    for fact in facts:
        if isinstance(fact, Moved):
            moved.append(fact)
        elif isinstance(fact, Merged):
            for each in moved:
                if each.one_id == fact.into:
                    before.setdefault(each.node, Gone(fact.gone, fact.evidence.event_id))
            moved = []
        elif isinstance(fact, Unlinked) and fact.b is None:
            before.setdefault(fact.a, Gone(fact.one_id, fact.evidence.event_id))
            moved = []
    return before
