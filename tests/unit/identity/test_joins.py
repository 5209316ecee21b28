"""Who became one, told from facts: merges and lifted cuts, and not a node that only changes over."""

from __future__ import annotations

from streams.engage.joins import joins
from streams.identity.nodes import SEPARATOR, Evidence
from streams.identity.persons import Persons
from streams.journal.tables import Tables

_IDS = (("uid", "c42"), ("phone", "+8613912340001"), ("email", "a@b.cn"))
A, B, C = (SEPARATOR.join(("t1", kind, "", value)) for kind, value in _IDS)


def _joined(persons: Persons) -> list[tuple[list[list[str]], str]]:
    facts = persons.take_facts()
    found = joins(facts, lambda node: persons.node(node).one_id, persons.members)
    return [(sorted(map(sorted, join.parts)), join.cause) for join in found]


def _apart() -> Persons:
    persons = Persons(Tables(), b"salt")
    for at, node in enumerate((A, B, C)):
        persons.resolve((node,), Evidence(f"e{at}", at))
    assert _joined(persons) == []
    return persons


def test_a_merge_makes_two_one() -> None:
    persons = _apart()
    persons.resolve((A, B), Evidence("m", 9))
    assert _joined(persons) == [(sorted([[A], [B]]), "m")]


def test_three_that_become_one_at_once_are_three_parts_and_no_node_is_in_two() -> None:
    persons = _apart()
    persons.resolve((A, B, C), Evidence("m", 9))
    assert _joined(persons) == [(sorted([[A], [B], [C]]), "m")]


def test_a_cut_makes_nobody_one_and_lifting_it_does() -> None:
    persons = _apart()
    persons.resolve((A, B), Evidence("m", 9))
    _joined(persons)
    persons.commands.unlink("t1", A, B, Evidence("cut", 10))
    assert _joined(persons) == []
    persons.commands.link("t1", A, B, Evidence("lift", 11))
    assert _joined(persons) == [(sorted([[A], [B]]), "lift")]
