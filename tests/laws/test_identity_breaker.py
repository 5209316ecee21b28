"""What is suspected is held as a slow oracle holds it, as if blocked from the start; and what is released is not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import networkx as nx
from hypothesis import assume, given
from hypothesis import strategies as st

from streams.engine import Engine, Outputs, person_sets
from streams.identity.breaker import REJECTED
from streams.identity.refusals import Refusal
from streams.journal.tables import Change, Tables
from tests.support.crowds import BASE, BLOCKED, HASHING, IDS, breakers, crowds, pairs_only, ruled, seen, tills
from tests.support.frames import SALT, fold, public, tables
from tests.support.journals import SECOND, frames_of
from tests.support.lines import Commanded, Event, Id, Item, MergePolicyText
from tests.support.oracle import Oracle
from tests.support.people import USUAL, People
from tests.support.profiles import law

Log = Sequence[Item]
Persons = set[frozenset[str]]


def _run(lines: Log) -> tuple[Engine, list[Outputs]]:
    return fold(frames_of(lines, frozenset()))


def _after(lines: Log) -> People:
    oracle = Oracle(lines, SALT)
    return oracle.people(oracle.after(len(lines) - 1))


def _values(persons: Iterable[Iterable[str]], without: Iterable[str] = ()) -> Persons:
    """Persons as sets of plain values: without the nodes of visits and contested values, and without these."""
    plain = (frozenset(n for n in person if n.count("\x1f") == 3) - frozenset(without) for person in persons)
    return {person for person in plain if person}


def _persons(engine: Engine, without: Iterable[str] = ()) -> Persons:
    return _values(person_sets(engine).values(), without)


def _suspects(engine: Engine) -> set[str]:
    return set(engine.tables.table("suspects"))


def _assert_as_the_oracle(lines: Log) -> None:
    engine, _ = _run(lines)
    people = _after(lines)
    assert _suspects(engine) == {"\x1f".join(node) for node in people.suspects}
    assert _persons(engine) == _values({"\x1f".join(n) for n in each} for each in nx.connected_components(people.graph))


@law
@given(breakers(), crowds())
def test_persons_and_suspects_are_those_of_the_oracle(policy: MergePolicyText, log: Log) -> None:
    _assert_as_the_oracle((ruled(policy), *log))


@law
@given(breakers(shops=HASHING), tills())
def test_a_phone_that_is_found_out_by_its_hash_is_so_for_the_oracle(policy: MergePolicyText, log: Log) -> None:
    _assert_as_the_oracle((ruled(policy), *log))


@law
@given(breakers(), crowds(commands=()))
def test_what_is_refused_and_held_is_what_the_oracle_refuses_and_holds(policy: MergePolicyText, log: Log) -> None:
    lines = (ruled(policy), *log)
    engine, _ = _run(lines)
    people = _after(lines)
    rows = {_pair(key): Refusal(*row) for key, row in engine.tables.table("refused").items()}
    assert rows.keys() == people.refused.keys()
    assert {pair for pair, row in rows.items() if row.held} == people.held


@st.composite
def _histories(draw: st.DrawFn) -> tuple[Item, ...]:
    """Two policies that differ in whom they suspect and what they block, each with what is seen while it is in force.

    In nothing else, and of no shops: by which policy a pair is decided again, once a value is found out, is not drawn.
    """
    rules = draw(st.lists(breakers(shops=((),)), min_size=2, max_size=2))
    first = replace(rules[0], patterns=(), blocked=())
    later = replace(first, version=2, seen_with=rules[1].seen_with, seen_on=rules[1].seen_on)
    later = replace(later, blocked=draw(BLOCKED), patterns=rules[1].patterns)
    logs = [draw(crowds(commands=(), most=9)) for _ in rules]
    after = [
        replace(line, received=line.received + 20 * SECOND, time=line.time + 20 * SECOND, id=f"later-{line.id}")
        for line in logs[1]
        if isinstance(line, Event)
    ]
    return ruled(first), *logs[0], ruled(later, BASE + 20 * SECOND), *after


@law
@given(_histories())
def test_a_new_policys_limits_hold_for_what_is_seen_from_then_on(lines: Log) -> None:
    """Who is suspected stays so, unless the newer policy blocks the value."""
    _assert_as_the_oracle(lines)


def _pair(key: str) -> frozenset[tuple[str, ...]]:
    return frozenset(tuple(end.split("\x1f")) for end in key.split("\x1e"))


@law
@given(breakers(shops=HASHING), tills(commands=("link", "unlink", "reject")))
def test_a_phone_and_its_hash_are_suspected_together(policy: MergePolicyText, log: Log) -> None:
    engine, _ = _run((ruled(policy), *log))
    nodes, aliases = engine.tables.table("nodes"), engine.tables.table("aliases")
    for hashed, phone in aliases.items():
        if hashed in nodes and phone in nodes:
            assert (hashed in _suspects(engine)) == (phone in _suspects(engine))


@law
@given(breakers(), crowds(commands=()))
def test_found_out_is_as_if_blocked_from_the_start(policy: MergePolicyText, log: Log) -> None:
    """Two openids have one value in two appids, and a policy blocks values: such logs tell nothing here."""
    policy = replace(policy, shops=())
    engine, _ = _run((ruled(policy), *log))
    suspects = _suspects(engine)
    assume(not any(node.endswith("\x1fo1") for node in suspects))
    blocked = replace(policy, blocked=(*policy.blocked, *(node.split("\x1f")[3] for node in suspects)))
    other, _ = _run((ruled(blocked), *log))
    assert not _suspects(other)
    assert _persons(engine, suspects) == _persons(other)


@law
@given(breakers(), crowds(commands=()), st.sampled_from(IDS[:-1]), st.data())
def test_a_value_that_an_operator_rejects_is_as_if_blocked_from_the_start(
    policy: MergePolicyText, log: Log, value: Id, data: st.DataObject
) -> None:
    policy = replace(policy, seen_with=(), seen_on=(), shops=())
    assume(value[2] != "o1")
    at = data.draw(st.integers(0, len(log)))
    said = [*log[:at], *([_said(log, at, "reject", value)]), *log[at:]]
    engine, _ = _run((ruled(policy), *said))
    other, _ = _run((ruled(replace(policy, blocked=(*policy.blocked, value[2]))), *log))
    assert _persons(engine, ["\x1f".join(("t1", *value))]) == _persons(other)


def _said(log: Log, at: int, kind: str, *ids: Id) -> Commanded:
    received = log[at].received if at < len(log) else BASE + 30 * SECOND
    return Commanded(received, ruled(USUAL).read, "t1", ids, kind)


@law
@given(breakers(), pairs_only())
def test_released_is_as_if_never_held(policy: MergePolicyText, log: Log) -> None:
    """Events of two ids: of more, what the others say of each other stays known."""
    policy = replace(policy, shops=())
    engine, _ = _run((ruled(policy), *log))
    held = [tuple(node.split("\x1f")[1:]) for node in sorted(_suspects(engine))]
    more = [_said(log, len(log), "release", (kind, scope, value)) for kind, scope, value in held]
    engine, _ = _run((ruled(policy), *log, *more))
    other, _ = _run((ruled(replace(policy, seen_with=(), seen_on=())), *log))
    assert not _suspects(engine)
    assert _persons(engine) == _persons(other)


@law
@given(breakers(), pairs_only(), st.data())
def test_a_released_bridge_is_as_if_it_had_been_linked(policy: MergePolicyText, log: Log, data: st.DataObject) -> None:
    policy = replace(policy, seen_with=(), seen_on=(), shops=())
    engine, _ = _run((ruled(policy), *log))
    released: list[Commanded] = []
    while held := sorted(key for key, row in engine.tables.table("refused").items() if Refusal(*row).held):
        a, b = (tuple(end.split("\x1f")[1:]) for end in data.draw(st.sampled_from(held)).split("\x1e"))
        released.append(_said(log, len(log), "release", (a[0], a[1], a[2]), (b[0], b[1], b[2])))
        engine, outputs = _run((ruled(policy), *log, *released))
        assert not outputs[-1].refused
    other, _ = _run((ruled(replace(policy, large=0, rivals=0)), *log))
    assert _persons(engine) == _persons(other)


# Batches and replay


@law
@given(breakers(), crowds(commands=("link", "unlink", "release", "reject")), st.sets(st.integers(0, 14)))
def test_batches_and_a_restart_change_nothing(policy: MergePolicyText, log: Log, breaks: set[int]) -> None:
    lines = (ruled(policy), *log)
    engine, outputs = fold(frames_of(lines, frozenset()))
    frames = frames_of(lines, breaks)
    again: Engine | None = None
    told: list[Outputs] = []
    for offset, frame in enumerate(frames):
        state = Tables(again.tables.rows()) if again is not None else Tables()
        again, more = fold([frame], state, offset)
        told += more
    assert again is not None
    assert public(told) == public(outputs)
    assert _rows(again) == _rows(engine)


def _rows(engine: Engine) -> list[Change]:
    """State, less the place in the journal."""
    return [row for row in engine.tables.rows() if row.table not in ("marks", "progress", "clock", "seen", "dedup")]


@law
@given(breakers(), crowds(commands=("link", "unlink", "release", "reject")))
def test_what_clickhouse_says_is_held_is_what_is_held(policy: MergePolicyText, log: Log) -> None:
    engine, outputs = _run((ruled(policy), *log))
    rows = sorted(tables(outputs).get("identity_holds", []), key=lambda row: int(row["seq"]))
    last = {frozenset((row["node_a"], row["node_b"])): row["word"] for row in rows}
    name = {node: row[1] for node, row in engine.tables.table("nodes").items()} | {"": ""}
    found = {key for key, row in engine.tables.table("refused").items() if Refusal(*row).held}
    pairs = {frozenset(name[end] for end in key.split("\x1e")) for key in found}
    values = {node for node, row in engine.tables.table("suspects").items() if row[3] != REJECTED}
    assert {pair for pair, word in last.items() if word == "held"} == pairs | {frozenset((name[n], "")) for n in values}


def test_an_operator_releases_by_the_node_that_clickhouse_tells() -> None:
    policy = MergePolicyText("few", seen_with=(("phone", 1, 0),))
    till = ("phone", "", "+8613900000001")
    lines: list[Item] = [ruled(policy), *(seen(n, (("uid", "", f"u{n}"), till)) for n in (1, 2))]
    engine, outputs = _run(lines)
    (row,) = (row for row in tables(outputs)["identity_holds"] if not row["node_b"])
    release = Commanded(BASE + 9 * SECOND, lines[0].read, "t1", (("node", "", row["node_a"]),), "release")
    assert _suspects(engine)
    engine, outputs = _run((*lines, release))
    assert not outputs[-1].refused
    assert not _suspects(engine)
