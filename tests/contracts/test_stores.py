"""One suite over every store, memory and RocksDB: what `Store` promises; and what the folder promises by itself."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.journal.tables import Change
from streams.worker.state import rocks as store_module
from streams.worker.state.origin import UNKNOWN, Origin
from streams.worker.state.rocks import RocksStore
from streams.worker.state.store import DamagedStore, MemoryStore, Position, Store, StoreLocked
from tests.support.changelogs import rows_of
from tests.support.profiles import law

CHILD = """
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from streams.journal.tables import Change
from streams.worker.state.rocks import RocksStore
from streams.worker.state.store import Position

store, first = RocksStore(Path(sys.argv[1])), int(sys.argv[2])
print("open", flush=True)
for number in range(first, first + 1_000_000):
    store.commit([Change("t", str(row), (number, "x" * 5_000)) for row in range(50)], Position(number, number))
    print(number, flush=True)
"""


@pytest.fixture(params=["memory", "rocks", "rocks that is read row by row"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    rows = 1 if "row by row" in request.param else 0
    opened: Store = MemoryStore() if request.param == "memory" else RocksStore(tmp_path / "store", rows)
    yield opened
    opened.close()


def test_an_empty_store_stands_for_nothing(store: Store) -> None:
    assert store.position() == Position(0, 0)
    assert rows_of(store) == {}


def test_a_commit_brings_rows_and_position(store: Store) -> None:
    store.commit([Change("a", "1", (1, "x")), Change("b", "1", {"k": None})], Position(5, 9))
    store.commit([Change("a", "1", None), Change("a", "2", b"raw"), Change("b", "none", None)], Position(6, 10))
    assert rows_of(store) == {("b", "1"): {"k": None}, ("a", "2"): b"raw"}
    assert store.position() == Position(6, 10)


def test_the_last_change_of_a_row_in_a_commit_wins(store: Store) -> None:
    store.commit(
        [Change("a", "1", 1), Change("a", "1", None), Change("a", "2", 1), Change("a", "2", 2)], Position(1, 1)
    )
    assert rows_of(store) == {("a", "2"): 2}


def test_a_commit_that_fails_leaves_everything_as_it_was(store: Store) -> None:
    store.commit([Change("a", "1", 1)], Position(1, 1))
    with pytest.raises(TypeError):
        store.commit([Change("a", "1", 2), Change("a", "2", object())], Position(2, 2))
    assert rows_of(store) == {("a", "1"): 1}
    assert store.position() == Position(1, 1)


def test_a_wiped_store_is_empty_and_goes_on(store: Store) -> None:
    store.commit([Change("a", "1", 1)], Position(1, 1))
    store.wipe()
    assert rows_of(store) == {}
    assert store.position() == Position(0, 0)
    store.commit([Change("a", "2", 2)], Position(3, 4))
    assert (rows_of(store), store.position()) == ({("a", "2"): 2}, Position(3, 4))


def test_a_store_knows_what_topics_it_is_of_until_it_is_wiped(store: Store) -> None:
    assert store.origin() == UNKNOWN
    store.bind(Origin("cluster", "journal", "changelog"))
    store.commit([Change("a", "1", 1)], Position(1, 1))
    assert store.origin() == Origin("cluster", "journal", "changelog")
    assert rows_of(store) == {("a", "1"): 1}
    store.wipe()
    assert store.origin() == UNKNOWN


def test_a_store_tells_about_how_many_rows_it_has(store: Store) -> None:
    store.commit([Change("a", str(number), number) for number in range(1000)], Position(1, 1))
    assert 1000 <= store.entries() <= 1010


def test_closing_twice_is_safe(store: Store) -> None:
    store.close()
    store.close()


_NAMES = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), min_size=1, max_size=4)
_KEYS = st.text(st.characters(exclude_categories=["Cs"]), max_size=4)
_VALUES = st.one_of(st.none(), st.integers(-(2**63), 2**64 - 1), st.text(max_size=3), st.tuples(st.binary(max_size=2)))
_COMMITS = st.lists(st.lists(st.builds(Change, _NAMES, _KEYS, _VALUES), max_size=5), max_size=5)


@law
@given(_COMMITS)
def test_a_store_on_disk_holds_what_one_in_memory_does(commits: list[list[Change]]) -> None:
    with TemporaryDirectory() as folder:  # a new one for each example, not for each test
        memory, disk = MemoryStore(), RocksStore(Path(folder) / "store")
        for number, changes in enumerate(commits):
            for one in (memory, disk):
                one.commit(changes, Position(number, 2 * number))
        disk.close()
        again = RocksStore(Path(folder) / "store")
        assert (rows_of(again), again.position()) == (rows_of(memory), memory.position())
        again.close()


def _child(folder: Path, first: int) -> tuple[subprocess.Popen[str], IO[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(folder), str(first)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "open\n"
    return process, process.stdout


def test_kill_9_at_any_moment_leaves_the_rows_of_some_commit_and_the_position_that_they_stand_for(
    tmp_path: Path,
) -> None:
    folder, first = tmp_path / "store", 1
    for commits in (1, 7, 200):
        process, said = _child(folder, first)
        try:
            for _ in range(commits):
                said.readline()
        finally:
            process.kill()
            told = [int(line) for line in said.read().split()]  # what it said before it was gone
            process.wait()
        store = RocksStore(folder)
        last = store.position().journal
        assert last <= max([first + commits - 1, *told]) + 1
        assert rows_of(store) == ({("t", str(row)): (last, "x" * 5_000) for row in range(50)} if last else {})
        first = last + 1
        store.close()


def test_a_store_that_another_process_holds_is_locked_until_that_is_gone(tmp_path: Path) -> None:
    process, _ = _child(tmp_path / "block" / "store", 1)
    try:
        with pytest.raises(StoreLocked):
            RocksStore(tmp_path / "block" / "store")
    finally:
        process.kill()
        process.wait()
    RocksStore(tmp_path / "block" / "store").close()


@pytest.mark.parametrize("harmed", ["CURRENT", "MANIFEST", ".sst"])
@pytest.mark.parametrize("harm", ["removed", "overwritten"])
def test_a_damaged_store_is_begun_anew_since_the_changelog_has_it_all(tmp_path: Path, harmed: str, harm: str) -> None:
    folder = tmp_path / "lock file"  # a name that must not be taken for what RocksDB says
    for number in range(3):
        store = RocksStore(folder)
        store.commit([Change("a", str(number), number)], Position(number, number))
        store.close()
    victim = next(path for path in folder.iterdir() if harmed in path.name)
    victim.unlink() if harm == "removed" else victim.write_bytes(b"garbage!")
    store = RocksStore(folder)
    assert (rows_of(store), store.position()) == ({}, Position())
    store.close()


def test_a_place_where_no_store_can_be_is_told_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "lock file").write_text("")
    with pytest.raises(Exception, match="File exists") as caught:
        RocksStore(tmp_path / "lock file")
    assert not isinstance(caught.value, StoreLocked)


def _with_a_damaged_block(folder: Path) -> Path:
    store = RocksStore(folder)
    store.commit([Change("t", str(row), random.Random(row).randbytes(100)) for row in range(1000)], Position(1, 1))
    store.close()
    (file,) = folder.glob("*.sst")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    return folder


def test_rows_behind_a_damaged_block_are_not_lost_without_a_word(tmp_path: Path) -> None:
    store = RocksStore(_with_a_damaged_block(tmp_path / "store"))
    with pytest.raises(DamagedStore, match="can't be read to its end"):
        rows_of(store)
    store.wipe()
    assert (rows_of(store), store.position()) == ({}, Position())
    store.close()


def _overwrite(store: Store, times: int) -> None:
    for number in range(2, times):
        store.commit([Change("t", str(row), number) for row in range(1000)], Position(number, number))


def test_a_store_that_can_not_be_written_to_is_begun_anew_at_the_next_opening(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "_FLUSH_BYTES", 0)  # files enough to be merged: there the damage is met
    store = RocksStore(_with_a_damaged_block(tmp_path / "store"))
    with pytest.raises(DamagedStore):
        _overwrite(store, 5000)
    store.close()
    store = RocksStore(tmp_path / "store")
    assert (rows_of(store), store.position()) == ({}, Position())
    store.close()
