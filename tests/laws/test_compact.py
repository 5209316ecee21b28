"""Whether a row is packed shows nowhere."""

from __future__ import annotations

from collections.abc import Iterable

import msgpack
from hypothesis import given
from hypothesis import strategies as st

from schemas.frames import encode_resolved
from streams.compact.rows import Link, Node
from streams.engine import Outputs
from streams.identity.nodes import hash_of
from streams.journal.tables import Change, Tables
from streams.worker.state.snapshot import view
from tests.support.frames import fold, public
from tests.support.likedict import Plain, changed
from tests.support.profiles import law
from tests.support.stories import Story, stories

_FEW = 1
_TIMES = st.integers(-(2**63), 2**63 - 1)
_SEQS = st.integers(0, 2**64 - 1)
_HASHES = st.sampled_from([hash_of(name, b"salt") for name in "abcdef"]) | st.sampled_from(
    ["", "ABCDEF12" * 4, "f" * 31]
)
_VALUES = ("a", "b", "é", "", "a\x1fcontested", f"a\x1f{hash_of('a', b'salt')}")
_NODES = st.builds(
    "\x1f".join,
    st.tuples(st.sampled_from("tu"), st.just("phone"), st.sampled_from(["", "wx"]), st.sampled_from(_VALUES)),
) | st.sampled_from(["", "x", "\x1fx", "even"])
_UUIDS = st.uuids().map(str)
_EVENTS = st.text(max_size=4) | _UUIDS | _UUIDS.map(str.upper) | _HASHES | st.just("e" * 300)
_ROWS = {
    "nodes": st.tuples(_NODES, st.builds(Node, _HASHES, _HASHES, _SEQS, _TIMES)),
    "links": st.tuples(
        _NODES, st.lists(st.builds(Link, _NODES, _EVENTS, _TIMES, _SEQS, st.booleans()), max_size=3).map(tuple)
    ),
    "persons": st.tuples(_HASHES, _SEQS),
    "beside": st.tuples(st.lists(_NODES, min_size=1, max_size=4).map("\x1e".join), st.tuples(_EVENTS, _TIMES, _SEQS)),
}
_CHANGES = st.sampled_from(sorted(_ROWS)).flatmap(
    lambda name: _ROWS[name].flatmap(lambda row: st.sampled_from([Change(name, *row), Change(name, row[0], None)]))
)


@law
@given(st.lists(_CHANGES, max_size=40))
def test_a_packed_table_is_as_a_dict_is(changes: list[Change]) -> None:
    tables = Tables(most_at_hand=_FEW)
    plain: Plain = {}
    for change in changes:
        changed(tables, plain, change)
    expected, told = [Change(*at, plain[at]) for at in sorted(plain)], tables.take_changes()
    for part in (tables, Tables(_kept(tables.rows()), _FEW), Tables(_viewed(tables), _FEW)):
        assert list(part.rows()) == expected
        assert sum(part.sizes().values()) == len(expected)
        assert {change[:2] for change in _viewed(part)} == plain.keys()
    touched = {(name, key) for name, key, value in changes if value is not None}
    assert {change[:2]: change.value for change in told} == {at: plain.get(at) for at in touched}


@law
@given(stories(untrue=True))
def test_an_engine_whose_rows_are_packed_says_the_same(story: Story) -> None:
    engine, outputs = fold(story.frames)
    packed, same = fold(story.frames, Tables(most_at_hand=_FEW))
    assert _bytes(same) == _bytes(outputs)
    assert public(same) == public(outputs)
    assert list(packed.tables.rows()) == list(engine.tables.rows())
    assert packed.tables.sizes() == engine.tables.sizes()
    assert packed.persons.everyone() == engine.persons.everyone()


@law
@given(stories(untrue=True), st.data())
def test_an_engine_that_was_restored_packed_goes_on_byte_for_byte(story: Story, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(story.frames)))
    _, outputs = fold(story.frames)
    lost, _ = fold(story.frames[:at])
    _, later = fold(story.frames[at:], Tables(_kept(lost.tables.rows()), _FEW), at)
    assert _bytes(later) == _bytes(outputs[at:])


@law
@given(stories(untrue=True), st.data())
def test_a_snapshot_of_packed_rows_is_not_changed_by_what_comes_later(story: Story, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(story.frames)))
    engine, _ = fold(story.frames[:at], Tables(most_at_hand=_FEW))
    before, later = list(engine.tables.rows()), view(engine.tables)
    for offset, frame in enumerate(story.frames[at:], at):
        engine.step(offset, frame)
    found = [change for part in later for change in part.changes()]
    assert sorted(found, key=lambda change: change[:2]) == before


def _viewed(tables: Tables) -> list[Change]:
    return [change for part in view(tables) for change in part.changes()]


def _kept(changes: Iterable[Change]) -> list[Change]:
    return [Change(*msgpack.unpackb(msgpack.packb(tuple(change)), use_list=False)) for change in changes]


def _bytes(outputs: Iterable[Outputs]) -> list[bytes]:
    return [encode_resolved(output.resolved) for output in outputs]
