"""Whatever is damaged of a store's files: after opening and restoring it holds what the changelog does, always."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from streams.compact.cold import OnDemand, Unreadable
from streams.compact.rows import Node
from streams.journal.tables import Change
from streams.worker.state import rocks as store_module
from streams.worker.state.changelog import Commit
from streams.worker.state.origin import Origin
from streams.worker.state.restore import Restore
from streams.worker.state.rocks import RocksStore
from streams.worker.state.store import Position
from tests.support.changelogs import MemoryChangelog, Rows, after, by_key, rows_of
from tests.support.profiles import law

HERE = Origin("cluster", "journal", "changelog")
ROOT = Path(__file__).parents[2]
_COMMITS = 150
_PERSONS = [None, *"abcdef"]
_NEVER_READ = ("LOCK", "LOG")


def _commits() -> Iterator[tuple[list[Change], Position]]:
    drawn = random.Random(5)
    for number in range(1, _COMMITS):
        keys = [str(drawn.randrange(300)) for _ in range(drawn.randrange(12))]
        changes = [Change("t", key, drawn.choice([None, drawn.randbytes(drawn.randrange(400))])) for key in keys]
        nodes = {str(drawn.randrange(100)): drawn.choice(_PERSONS) for _ in range(drawn.randrange(6))}
        changes += [
            Change("nodes", node, one and Node(one, drawn.randbytes(99).hex(), 0, 0)) for node, one in nodes.items()
        ]
        yield changes, Position(number, 2 * number - 1)


def build(folder: Path, ended: str) -> None:
    """Writes all commits to a store that flushes often, and then is closed, or not (`killed`)."""
    store = RocksStore(folder, 1)
    store.bind(HERE)
    drawn = random.Random(7)
    for changes, position in _commits():
        store_module._FLUSH_BYTES = 0 if drawn.random() < 0.3 else 1 << 30
        store.commit(changes, position)
    if ended == "killed":
        os._exit(9)
    store.close()


@pytest.fixture(scope="module", params=["closed", "killed"])
def written(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store's folder, as a process left it."""
    folder: Path = tmp_path_factory.mktemp("store") / request.param
    source = f"from tests.laws.test_store_damage import build, Path; build(Path({str(folder)!r}), {request.param!r})"
    subprocess.run([sys.executable, "-c", source], cwd=ROOT, check=request.param == "closed")
    return folder


def _changelog() -> tuple[MemoryChangelog, Rows]:
    changelog, rows = MemoryChangelog(), Rows()
    for changes, position in _commits():
        assert changelog.append(Commit(position.journal, changes, HERE.journal)) == position.changelog
        rows = after(rows, changes)
    return changelog, rows


CHANGELOG, ROWS = _changelog()
"""What is true."""

_PLACES = st.floats(0, 1, exclude_max=True)
_HARMS = st.one_of(
    st.tuples(st.just("removed"), _PLACES, st.just(0)),
    st.tuples(st.just("cut off"), _PLACES, st.just(0)),
    st.tuples(st.just("a bit turned over"), _PLACES, st.integers(0, 7)),
    st.tuples(st.just("zeros"), _PLACES, st.sampled_from([7, 512, 4096])),
    st.tuples(st.just("garbage"), _PLACES, st.sampled_from([4, 64, 512])),
)


def _harm(file: Path, harm: tuple[str, float, int]) -> None:
    kind, place, size = harm
    content = bytearray(file.read_bytes())
    at = int(place * len(content))
    if kind == "removed":
        file.unlink()
        return
    if kind == "cut off":
        del content[at:]
    elif kind == "a bit turned over" and content:
        content[at] ^= 1 << size
    else:
        size = min(size, len(content) - at)
        content[at : at + size] = bytes(size) if kind == "zeros" else random.Random(at).randbytes(size)
    file.write_bytes(bytes(content))


def _files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir() if not file.name.startswith(_NEVER_READ))


def _restored(folder: Path, memory_rows: int = 0) -> None:
    store = RocksStore(folder, memory_rows)
    restored = Restore(store, CHANGELOG, None, HERE, lambda part, done, of: None).run()
    try:
        assert by_key(restored.tables.rows()) == ROWS
        assert _members(restored.tables.ids.cold_members()) == (_MEMBERS if memory_rows else {})
        assert rows_of(store) == ROWS
        assert restored.position == store.position() == Position(_COMMITS - 1, 2 * _COMMITS - 3)
    finally:
        store.close()


def _members(known: OnDemand[tuple[str, ...]] | None) -> dict[str, set[str]]:
    return {one: set(known.get(one, ())) for one in _PERSONS if one} if known is not None else {}


_MEMBERS = {
    one: {key for (name, key), row in ROWS.items() if name == "nodes" and row[0] == one} for one in _PERSONS if one
}


@pytest.mark.parametrize("memory_rows", [0, 1])
@law
@given(harms=st.lists(st.tuples(st.integers(0, 99), _HARMS), min_size=1, max_size=3))
@example(harms=[])
def test_a_damaged_store_is_restored_to_what_the_changelog_says(
    written: Path, memory_rows: int, harms: list[tuple[int, tuple[str, float, int]]]
) -> None:
    with TemporaryDirectory() as place:
        folder = Path(place) / "store"
        shutil.copytree(written, folder)
        files = _files(folder)
        for number, harm in harms:
            file = files[number % len(files)]
            if file.exists():
                _harm(file, harm)
        with suppress(Unreadable) if memory_rows else nullcontext():  # met when a row is asked for: then it is restored
            _restored(folder, memory_rows)
        _restored(folder, memory_rows)
