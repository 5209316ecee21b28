"""Persons, refusals and whom events belong to are those of a slow oracle that decides the whole log anew."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import networkx as nx
from hypothesis import given
from hypothesis import strategies as st

from streams.engine import Engine, Outputs, person_sets
from streams.identity.nodes import is_contested
from streams.journal.tables import Tables
from tests.support.crowds import (
    BASE,
    BLOCKED,
    FREE,
    HASHING,
    IDS,
    STRONG,
    crowds,
    policies,
    regulars,
    ruled,
    seen,
    tills,
)
from tests.support.frames import SALT, fold, public, tables
from tests.support.journals import SECOND, frames_of
from tests.support.lines import Commanded, Event, Id, Item, MergePolicyText, Scheme
from tests.support.oracle import Oracle
from tests.support.people import People
from tests.support.profiles import law

Log = Sequence[Item]


def _run(lines: Log) -> tuple[Engine, list[Outputs]]:
    return fold(frames_of(lines, frozenset()))


def _after(lines: Log) -> tuple[Oracle, People]:
    oracle = Oracle(lines, SALT)
    return oracle, oracle.people(oracle.after(len(lines) - 1))


def _components(people: People) -> set[frozenset[str]]:
    return {frozenset("\x1f".join(node) for node in each) for each in nx.connected_components(people.graph)}


def _of_values(persons: Iterable[frozenset[str]]) -> set[frozenset[str]]:
    """Persons as sets of plain values: without the nodes of visits and contested values."""
    plain = (frozenset(node for node in person if node.count("\x1f") == 3) for person in persons)
    return {person for person in plain if person}


def _parts_of_now(engine: Engine, people: People) -> set[frozenset[str]]:
    """Persons without nodes of visits and contested values that are none any more: these go with their value."""
    parts = {"\x1f".join(node) for node in people.graph}
    persons = (
        frozenset(node for node in person if node.count("\x1f") == 3 or node in parts)
        for person in person_sets(engine).values()
    )
    return {person for person in persons if person}


@law
@given(policies(), crowds())
def test_persons_and_their_names_are_those_of_the_oracle(policy: MergePolicyText, log: Log) -> None:
    lines = (ruled(policy), *log)
    engine, _ = _run(lines)
    _, people = _after(lines)
    assert set(person_sets(engine).values()) == _components(people)
    for one_id, nodes in person_sets(engine).items():
        assert one_id == people.one_id(tuple(min(nodes).split("\x1f")))


@law
@given(policies(), crowds())
def test_every_event_belongs_to_the_node_and_person_that_the_oracle_names(policy: MergePolicyText, log: Log) -> None:
    lines = (ruled(policy), *log)
    _, outputs = _run(lines)
    oracle = Oracle(lines, SALT)
    for fact, (at, event) in zip(tables(outputs).get("events", []), oracle.accepted, strict=True):
        nodes = oracle.nodes(at, event)
        people = oracle.people(at)
        assert fact["node"] == (people.hash(nodes[0]) if nodes else "")
        assert fact["one_id"] == (people.one_id(nodes[0]) if nodes else "")


@law
@given(policies(), crowds())
def test_refusals_are_those_of_the_oracle_and_name_the_line_of_the_policy(policy: MergePolicyText, log: Log) -> None:
    lines = (ruled(policy), *log)
    _, outputs = _run(lines)
    _, people = _after(lines)
    told = [record for _, _, subject, record in public(outputs) if subject == "identity_change"]
    told = [record for record in told if record["kind"] in ("refused", "held")]
    refused = {_pair(record): record["reason"] for record in told}
    assert refused.keys() == people.refused.keys()
    for pair, reason in refused.items():
        assert reason in ("contested", "unlinked") or reason.startswith("crowd@1:")
        assert reason.removeprefix("crowd@1:").lstrip("0123456789").strip() == people.refused[pair]
    held = {_pair(record) for record in told if record["kind"] == "held"}
    linked = any(isinstance(line, Commanded) for line in log)  # an operator's link ends a hold that was told
    assert people.held <= held if linked else people.held == held
    assert len(refused) == len(told)


def _pair(record: dict[str, dict[str, str]]) -> frozenset[tuple[str, ...]]:
    return frozenset(("t1", record[e]["kind"], record[e]["scope"] or "", record[e]["value"]) for e in ("a", "b"))


@st.composite
def _histories(
    draw: st.DrawFn, *, shops: Sequence[tuple[Scheme, ...]] = (*HASHING, ()), commands: Sequence[str] = ("link",)
) -> tuple[Item, ...]:
    """Two or three policies of the same shops, each with what is seen and said while it is in force.

    Where phones are hashed, of two ids on an event: of three, a phone has met its hash before what is only known when
    the strongest of them is blocked, and else after it. No operator links a device or browser: of its logins only the
    first of each id are kept, so such a link, decided again, may find another login than it found. And no patterns
    where phones are hashed: what a hash stands for once a pattern and a list that blocked it are lifted is not settled.
    """
    rules = draw(st.lists(policies(shops=shops), min_size=2, max_size=3))
    lines: list[Item] = []
    for number, policy in enumerate(rules):
        patterns = () if rules[0].shops else policy.patterns
        newer = replace(policy, version=number + 1, blocked=draw(BLOCKED), shops=rules[0].shops, patterns=patterns)
        log = draw(crowds(commands=commands, most=14 if len(rules) == 2 else 9, together=2 if rules[0].shops else 3))
        log = tuple(line for line in log if not _links_a_device(line))
        lines += [ruled(newer, BASE + 20 * number * SECOND), *_later(log, 20 * number)]
    return tuple(lines)


def _links_a_device(line: Item) -> bool:
    if not isinstance(line, Commanded) or line.kind != "link":
        return False
    return any(kind in ("device_id", "cookie") for kind, _, _ in line.ids)


@law
@given(_histories())
def test_a_new_policy_decides_what_comes_after_it(lines: Log) -> None:
    """What it blocks leaves its persons, and everyone who was tied to that is decided again, by this policy; what it
    blocks no more is somebody from then on, and what was seen of it before stays unseen.

    The shops are the same throughout: what a policy does that tells of one later stands in other laws.
    """
    engine, _ = _run(lines)
    _, people = _after(lines)
    assert _parts_of_now(engine, people) == _components(people)


@law
@given(_histories(shops=((),), commands=("link", "unlink", "unlink")))
def test_a_cut_decides_again_by_the_policy_of_then(lines: Log) -> None:
    """Without hashed phones: a phone that is seen can bring a cut of its hash to bear, which decides again too."""
    engine, _ = _run(lines)
    _, people = _after(lines)
    assert _of_values(person_sets(engine).values()) == _of_values(_components(people))


def _later(lines: Log, start: int = 20) -> list[Item]:
    return [_shifted(line, start + number) for number, line in enumerate(lines)]


def _shifted(line: Item, number: int) -> Item:
    if isinstance(line, Event):
        return seen(number, line.ids)
    assert isinstance(line, Commanded)
    return Commanded(BASE + number * SECOND, line.read, line.tenant, line.ids, line.kind)


@law
@given(policies() | st.just(FREE), regulars())
def test_what_is_only_remembered_does_not_show(policy: MergePolicyText, log: Log) -> None:
    """An engine that is restored before each event looks at all ids again."""
    frames = frames_of((ruled(policy), *log))
    lasting, outputs = fold(frames)
    restored, again = fold(())
    for at, frame in enumerate(frames):
        restored, told = fold((frame,), Tables(restored.tables.rows()), at)
        again += told
    assert public(again) == public(outputs)
    assert (
        set(person_sets(restored).values())
        == set(person_sets(lasting).values())
        == _components(_after((ruled(policy), *log))[1])
    )


# Unlinking


@law
@given(policies(), crowds(commands=("link", "unlink", "unlink")))
def test_unlinking_equals_never_having_linked(policy: MergePolicyText, log: Log) -> None:
    """The oracle leaves pairs that are cut in the end out from the start."""
    lines = (ruled(policy), *log)
    engine, _ = _run(lines)
    _, people = _after(lines)
    assert _of_values(person_sets(engine).values()) == _of_values(_components(people))


@law
@given(policies(shops=HASHING), tills(commands=("link", "unlink", "unlink")))
def test_a_phone_is_kept_apart_from_what_its_hash_is(policy: MergePolicyText, log: Log) -> None:
    lines = (ruled(policy), *log)
    engine, _ = _run(lines)
    _, people = _after(lines)
    assert _of_values(person_sets(engine).values()) == _of_values(_components(people))


@law
@given(policies(shops=HASHING), policies(shops=HASHING), tills(commands=("unlink",)), tills(commands=("unlink",)))
def test_a_scheme_of_hashes_that_is_told_later_keeps_apart_who_was_cut(
    one: MergePolicyText, other: MergePolicyText, log: Log, more: Log
) -> None:
    """No pair that any command cut, by whatever name of a phone, is linked."""
    newer = replace(other, version=2)
    lines = (ruled(replace(one, shops=())), *log, ruled(newer, BASE + 20 * SECOND), *_later(more))
    engine, _ = _run(lines)
    oracle = Oracle(lines, SALT)
    cut = oracle.kept_apart(oracle.after(len(lines) - 1))
    for node, links in engine.tables.table("links").items():
        for to, *_ in links:
            assert frozenset((tuple(to.split("\x1f")), tuple(node.split("\x1f")[:4]))) not in cut


@law
@given(
    policies(), crowds(commands=()), st.lists(st.sampled_from(IDS[:-1]), min_size=2, max_size=2, unique=True), st.data()
)
def test_the_place_of_an_unlinking_does_not_matter(
    policy: MergePolicyText, log: Log, pair: list[Id], data: st.DataObject
) -> None:
    """The events keep their moments, and so their distance in a limit's window, wherever the cut stands."""
    lines, places = _later_by_one(log), (0, data.draw(st.integers(0, len(log))))
    cuts = [Commanded(BASE + at * SECOND, ruled(policy).read, "t1", (pair[0], pair[1]), "unlink") for at in places]
    logs = [(*lines[:at], cut, *lines[at:]) for at, cut in zip(places, cuts, strict=True)]
    found = [_run((ruled(policy), *each))[0] for each in logs]
    first, other = (_of_values(person_sets(engine).values()) for engine in found)
    assert first == other


def _later_by_one(log: Log) -> list[Item]:
    return [_shifted(line, number) for number, line in enumerate(log, 1)]


def _timed(log: Log) -> list[Item]:
    return [_shifted(line, number) for number, line in enumerate(log)]


@law
@given(policies(), crowds(commands=("link", "unlink", "unlink")))
def test_identity_map_retells_the_persons_after_any_cut(policy: MergePolicyText, log: Log) -> None:
    """A value that a pattern turned out to block is told to be of nobody."""
    engine, outputs = _run((ruled(policy), *log))
    rows = sorted(tables(outputs).get("identity_map", []), key=lambda row: int(row["seq"]))
    told = {node: one_id for node, one_id in {row["node"]: row["one_id"] for row in rows}.items() if one_id}
    nodes = [node for person in person_sets(engine).values() for node in person]
    assert told == {engine.persons.node(node).node_id: engine.persons.node(node).one_id for node in nodes}
    assert len(rows) == len({row["seq"] for row in rows})


@law
@given(policies(), policies(), crowds(commands=("link", "unlink", "unlink")))
def test_the_few_nodes_that_moved_restate_all_facts(one: MergePolicyText, other: MergePolicyText, log: Log) -> None:
    """Every fact belongs to today's person of its node, though only nodes that had another person are looked up."""
    newer = MergePolicyText("crowd", 2, other.values, other.hold, blocked=("d1", "u2", *other.blocked))
    engine, outputs = _run((ruled(one), *log, ruled(newer, BASE + 20 * SECOND)))
    told = tables(outputs)
    moved = {row["node"]: row["one_id"] for row in told.get("identity_moves", [])}
    nodes = [node for person in person_sets(engine).values() for node in person]
    today = {engine.persons.node(node).node_id: engine.persons.node(node).one_id for node in nodes}
    for fact in told.get("events", []):
        assert moved.get(fact["node"], fact["one_id"]) == today.get(fact["node"], "")


@law
@given(policies(), crowds(commands=("link", "unlink")))
def test_a_person_is_held_together_by_its_links(policy: MergePolicyText, log: Log) -> None:
    engine, _ = _run((ruled(policy), *log))
    for everything in person_sets(engine).values():
        nodes = [node for node in everything if not is_contested(node)]  # one that is no more goes with its value
        for a in nodes:
            for b in nodes:
                chain = engine.persons.explain(a, b)
                assert chain is not None
                ends = [a, *(step.b for step in chain.steps)]
                assert [step.a for step in chain.steps] == ends[:-1]
                assert ends[-1] == b


# Order of arrival


@law
@given(crowds(commands=()), st.randoms(use_true_random=False))
def test_where_no_policy_binds_the_order_of_arrival_does_not_matter(log: Log, random: object) -> None:
    """Components of sharing whose strong ids hold together by themselves: no limit, and no device in between."""
    shuffled = random.sample(log, len(log))  # type: ignore[attr-defined]
    engines = [_run((ruled(FREE), *each))[0] for each in (log, _timed(shuffled))]
    free = _unbound(log)
    for engine in engines:
        assert free <= _of_values(person_sets(engine).values())


def _unbound(log: Log) -> set[frozenset[str]]:
    graph: nx.Graph[str] = nx.Graph()
    for line in log:
        assert isinstance(line, Event)
        nodes = ["\x1f".join(("t1", *each)) for each in line.ids if each[2] != "null"]
        graph.add_nodes_from(nodes)
        graph.add_edges_from((a, b) for a in nodes for b in nodes if a < b)
    weak = {node for node in graph if node.split("\x1f")[1] in ("device_id", "cookie")}
    strong = graph.subgraph(graph.nodes - weak)
    return {
        frozenset(component)
        for component in nx.connected_components(graph)
        if nx.number_connected_components(strong.subgraph(component - weak)) <= 1
    }


def test_every_strong_id_is_one_that_a_policy_may_join() -> None:
    assert {kind for kind, _, _ in STRONG} == {"uid", "unionid", "phone", "openid"}
