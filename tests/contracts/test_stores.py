"""One suite over every store, memory and RocksDB: what `Store` promises; and what the folder promises by itself."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.journal.tables import Change
from streams.worker.state.store import MemoryStore, Position, RocksStore, Store, StoreLocked
from tests.support.profiles import law

CHILD = """
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from streams.journal.tables import Change
from streams.worker.state.store import Position, RocksStore

store, first = RocksStore(Path(sys.argv[1])), int(sys.argv[2])
print("open", flush=True)
for number in range(first, first + 1_000_000):
    store.commit([Change("t", str(row), number) for row in range(50)], Position(number, number))
    print(number, flush=True)
"""


@pytest.fixture(params=["memory", "rocks"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    opened: Store = MemoryStore() if request.param == "memory" else RocksStore(tmp_path / "store")
    yield opened
    opened.close()


def _rows(store: Store) -> dict[tuple[str, str], Any]:
    return {(table, key): value for table, key, value in store.rows()}


def test_an_empty_store_stands_for_nothing(store: Store) -> None:
    assert store.position() == Position(0, 0)
    assert _rows(store) == {}


def test_a_commit_brings_rows_and_position(store: Store) -> None:
    store.commit([Change("a", "1", (1, "x")), Change("b", "1", {"k": None})], Position(5, 9))
    store.commit([Change("a", "1", None), Change("a", "2", b"raw"), Change("b", "none", None)], Position(6, 10))
    assert _rows(store) == {("b", "1"): {"k": None}, ("a", "2"): b"raw"}
    assert store.position() == Position(6, 10)


def test_the_last_change_of_a_row_in_a_commit_wins(store: Store) -> None:
    store.commit(
        [Change("a", "1", 1), Change("a", "1", None), Change("a", "2", 1), Change("a", "2", 2)], Position(1, 1)
    )
    assert _rows(store) == {("a", "2"): 2}


def test_a_commit_that_fails_leaves_everything_as_it_was(store: Store) -> None:
    store.commit([Change("a", "1", 1)], Position(1, 1))
    with pytest.raises(TypeError):
        store.commit([Change("a", "1", 2), Change("a", "2", object())], Position(2, 2))
    assert _rows(store) == {("a", "1"): 1}
    assert store.position() == Position(1, 1)


def test_a_wiped_store_is_empty_and_goes_on(store: Store) -> None:
    store.commit([Change("a", "1", 1)], Position(1, 1))
    store.wipe()
    assert _rows(store) == {}
    assert store.position() == Position(0, 0)
    store.commit([Change("a", "2", 2)], Position(3, 4))
    assert (_rows(store), store.position()) == ({("a", "2"): 2}, Position(3, 4))


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
        assert (_rows(again), again.position()) == (_rows(memory), memory.position())
        again.close()


def _child(folder: Path, first: int) -> tuple[subprocess.Popen[str], IO[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(folder), str(first)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "open\n"
    return process, process.stdout


def test_kill_9_at_any_moment_leaves_whole_commits_and_none_that_was_done_is_lost(tmp_path: Path) -> None:
    folder, first = tmp_path / "store", 1
    for commits in (1, 7, 40):
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
        assert last >= max([first + commits - 1, *told])
        assert _rows(store) == {("t", str(row)): last for row in range(50)}
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
    assert (_rows(store), store.position()) == ({}, Position())
    store.close()


def test_a_place_where_no_store_can_be_is_told_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "lock file").write_text("")
    with pytest.raises(Exception, match="File exists") as caught:
        RocksStore(tmp_path / "lock file")
    assert not isinstance(caught.value, StoreLocked)
