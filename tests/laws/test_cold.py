"""Whether rows are in memory or read from the store when they are asked for shows nowhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgpack
from hypothesis import given
from hypothesis import strategies as st

from schemas.frames import encode_resolved
from streams.compact.cold import OF_IDS
from streams.engine import Engine, EngineConfig, Outputs
from streams.journal.frame import Frame
from streams.journal.tables import Change, Tables
from streams.worker.state.rocks import RocksStore
from streams.worker.state.snapshot import view
from streams.worker.state.store import Position, loaded
from tests.laws.test_compact import _CHANGES
from tests.support.crowds import BASE, IDS, breakers, crowds, policies, ruled
from tests.support.frames import CONTROL, SALT, fold, public
from tests.support.journals import SECOND, frames_of, read_by
from tests.support.likedict import Plain, changed
from tests.support.lines import Commanded, Id, Item, MergePolicyText
from tests.support.profiles import law
from tests.support.stories import Story, stories

_FEW = 1
_CONFIG = EngineConfig(SALT)
_WHEN = st.integers(0, 15).map(lambda number: BASE + number * SECOND)
_COMMITS = st.lists(st.sampled_from(["", "commit", "restart", "crash", "snapshot", "as before"]), max_size=40)
"""What happens after each frame."""


class Shard:
    """One shard's fold on a store, as a worker has it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._committed = 0
        self.outputs: list[Outputs] = []
        self._begin(_FEW)

    def _begin(self, memory_rows: int) -> None:
        self.store = RocksStore(self._folder, memory_rows)
        self.store.ready(lambda done: None)
        self.engine = Engine(0, _CONFIG, loaded(self.store))

    def fold(self, frames: list[Frame], after: Iterator[str]) -> None:
        """Folds frames; after each what `after` says happens."""
        at = 0
        while at < len(frames):
            self.outputs.append(self.engine.step(at, frames[at]))
            at += 1
            event = next(after, "")
            if event == "crash":
                self.store.close()
                at = self._committed
                del self.outputs[at:]
                self._begin(_FEW)
            elif event:
                self.commit(at)
                self._then(event)

    def commit(self, at: int) -> None:
        """So many frames are folded."""
        self._committed = at
        self.store.commit(self.engine.tables.take_changes(), Position(at, at))

    def _then(self, event: str) -> None:
        if event in ("restart", "as before"):
            self.store.close()
            if event == "as before":  # a worker that knows nothing of indices
                self._begin(0)
                self.store.commit([], Position(self._committed, self._committed + 1))
                self.store.close()
            self._begin(_FEW)
        elif event == "snapshot":
            assert _viewed(self.engine.tables) == _packed(self.engine.tables.rows())


@contextmanager
def shard() -> Iterator[Shard]:
    """On a store that is gone afterwards."""
    with TemporaryDirectory() as place:
        made = Shard(Path(place) / "store")
        yield made
        made.store.close()


@law
@given(stories(untrue=True), _COMMITS)
def test_an_engine_whose_rows_are_in_the_store_says_the_same_whenever_it_commits_or_ends(
    story: Story, after: list[str]
) -> None:
    assert_same(story.frames, after)


@law
@given(
    policies() | breakers(),
    crowds(commands=("link", "unlink", "release", "reject")),
    st.sampled_from(IDS[:-1]),
    st.tuples(policies(), _WHEN, _WHEN),
    _COMMITS,
)
def test_persons_whose_rows_are_in_the_store_are_joined_cut_erased_and_ruled_anew_alike(
    policy: MergePolicyText, log: list[Item], who: Id, later: tuple[MergePolicyText, int, int], after: list[str]
) -> None:
    other, ruled_at, erased_at = later
    erased = Commanded(erased_at, read_by(CONTROL), "t1", (who, who), "erase", id="erased")
    lines = sorted((ruled(policy), *log, erased, ruled(other, ruled_at)), key=lambda line: line.received)
    assert_same(frames_of(lines), after)


def assert_same(frames: list[Frame], after: list[str]) -> None:
    """Of these frames the same comes out as of an engine that has all its rows in memory."""
    engine, outputs = fold(frames)
    with shard() as cold:
        cold.fold(frames, iter(after))
        assert _bytes(cold.outputs) == _bytes(outputs)
        assert public(cold.outputs) == public(outputs)
        tables = cold.engine.tables
        assert _packed(tables.rows()) == _packed(engine.tables.rows())
        assert {name: size for name, size in tables.sizes().items() if size} == {
            name: size for name, size in engine.tables.sizes().items() if size
        }
        assert cold.engine.persons.everyone() == engine.persons.everyone()


@law
@given(stories(untrue=True), _COMMITS)
def test_what_is_at_hand_is_never_more_than_there_is_room_for_and_what_is_not_committed(
    story: Story, after: list[str]
) -> None:
    with shard() as cold:
        cold.fold(story.frames, iter(after))
        cold.commit(len(story.frames))
        tables: list[Any] = [cold.engine.tables.table(name) for name in OF_IDS]
        for table in tables:
            for key in list(table):
                assert table.get(key) is not None
                assert len(table.at_hand) <= 2 * _FEW


@law
@given(st.lists(st.one_of(_CHANGES, st.none()), max_size=40))
def test_a_table_in_a_store_is_as_a_dict_is(changes: list[Change | None]) -> None:
    plain: Plain = {}
    with TemporaryDirectory() as place:
        store = RocksStore(Path(place) / "store", _FEW)
        tables = store.tables()
        for at, change in enumerate(changes):
            if change is None:
                store.commit(tables.take_changes(), Position(at, at))
                continue
            changed(tables, plain, change)
        expected = [Change(*at, plain[at]) for at in sorted(plain)]
        assert list(tables.rows()) == expected
        assert sum(tables.sizes().values()) == len(expected)
        assert _viewed(tables) == _packed(expected)
        besides = tables.table("beside")
        for node in {part for _, key in plain for part in key.split("\x1e")}:
            keys = {key for name, key in plain if name == "beside"}
            assert besides.among([node]) == {key for key in keys if node in key.split("\x1e")}
            assert sorted(besides.of(node)) == sorted(key for key in keys if key.startswith(node + "\x1e"))
        store.close()


@law
@given(stories(untrue=True), st.data())
def test_a_snapshot_of_rows_in_the_store_is_not_changed_by_what_comes_later(story: Story, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(story.frames)))
    with shard() as cold:
        cold.fold(story.frames[:at], iter(["commit"] * at))
        before, later = _packed(cold.engine.tables.rows()), view(cold.engine.tables)
        for offset, frame in enumerate(story.frames[at:], at):
            cold.engine.step(offset, frame)
            cold.commit(offset + 1)
        found = [change for part in later for change in part.changes()]
        assert sorted(_packed(found), key=lambda change: change[:2]) == before


def _viewed(tables: Tables) -> list[Change]:
    return sorted(_packed(change for part in view(tables) for change in part.changes()), key=lambda row: row[:2])


def _packed(changes: Iterable[Change]) -> list[Change]:
    return [Change(*msgpack.unpackb(msgpack.packb(tuple(change)), use_list=False)) for change in changes]


def _bytes(outputs: Iterable[Outputs]) -> list[bytes]:
    return [encode_resolved(output.resolved) for output in outputs]
