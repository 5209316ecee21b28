"""Who is one person does not depend on when, where or how often the links were seen."""

from __future__ import annotations

from collections.abc import Sequence

import networkx as nx
from hypothesis import given
from hypothesis import strategies as st

from streams.engine import Engine, person_sets
from tests.support.frames import Ev, Journal, fold, tables
from tests.support.lines import Id
from tests.support.profiles import law
from tests.support.stories import BASE, IDS

groups = st.lists(st.lists(st.sampled_from(IDS), max_size=3, unique=True), max_size=12)


def _seen(events: Sequence[Sequence[Id]], tenant: str = "t1") -> Engine:
    journal = Journal()
    journal.add(*(Ev(BASE, ids=tuple(ids), id=f"e{n}", tenant=tenant) for n, ids in enumerate(events)))
    return fold(journal.frames)[0]


def _sets(engine: Engine) -> set[frozenset[str]]:
    return set(person_sets(engine).values())


@law
@given(groups)
def test_seeing_everything_twice_changes_no_person(events: list[list[Id]]) -> None:
    assert person_sets(_seen([*events, *events])) == person_sets(_seen(events))


@law
@given(groups)
def test_the_order_of_ids_in_an_event_changes_nothing(events: list[list[Id]]) -> None:
    assert person_sets(_seen([ids[::-1] for ids in events])) == person_sets(_seen(events))


@law
@given(groups)
def test_a_node_is_of_one_person_and_every_person_has_a_founding_row(events: list[list[Id]]) -> None:
    engine = _seen(events)
    nodes = [node for person in person_sets(engine).values() for node in person]
    assert len(set(nodes)) == len(nodes)
    assert set(engine.tables.table("persons")) == set(person_sets(engine))
    assert {row[0] for row in engine.tables.table("nodes").values()} == set(person_sets(engine))


@law
@given(groups)
def test_two_tenants_share_nobody(events: list[list[Id]]) -> None:
    names = [set(person_sets(_seen(events, tenant))) for tenant in ("t1", "t2")]
    assert names[0].isdisjoint(names[1])


@law
@given(groups)
def test_identity_map_and_links_retell_the_persons(events: list[list[Id]]) -> None:
    journal = Journal()
    journal.add(*(Ev(BASE, ids=tuple(ids), id=f"e{n}") for n, ids in enumerate(events)))
    engine, outputs = fold(journal.frames)
    rows = sorted(tables(outputs).get("identity_map", []), key=lambda row: int(row["seq"]))
    told = {row["node"]: row["one_id"] for row in rows}
    known = {node: engine.persons.node(node) for nodes in _sets(engine) for node in nodes}
    assert told == {node.node_id: node.one_id for node in known.values()}


@law
@given(groups)
def test_links_alone_are_enough_to_find_the_persons_again(events: list[list[Id]]) -> None:
    journal = Journal()
    journal.add(*(Ev(BASE, ids=tuple(ids), id=f"e{n}") for n, ids in enumerate(events)))
    engine, outputs = fold(journal.frames)
    graph = nx.Graph((row["node_a"], row["node_b"]) for row in tables(outputs).get("identity_links", []))
    graph.add_nodes_from(row["node"] for row in tables(outputs).get("identity_map", []))
    known = [{engine.persons.node(node).node_id for node in nodes} for nodes in _sets(engine)]
    assert sorted(map(sorted, nx.connected_components(graph))) == sorted(map(sorted, known))
