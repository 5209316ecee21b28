"""A row that can't be read is nobody's poison: the fold ends, and the state is restored at the next opening."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.compact.cold import Unreadable
from streams.engine import Engine, EngineConfig
from streams.isolate import Isolating
from streams.journal.frame import Frame
from streams.worker.state.rocks import RocksStore
from streams.worker.state.store import Position, StoreClosed, loaded
from tests.support.frames import SALT, Ev, Journal

PEOPLE = 300


def _frames() -> list[Frame]:
    """Each of some people comes, and then each once more."""
    journal = Journal()
    for at in range(2 * PEOPLE):
        phone = ("phone", "", f"138{at % PEOPLE:08d}")
        journal.add(Ev(1000 + at, ids=(phone,), id=f"e{at}"), until=1000 + at)
    return journal.frames


def _written(folder: Path) -> None:
    """A store with those who came."""
    store = RocksStore(folder, 1)
    engine = Engine(0, EngineConfig(SALT), store.tables())
    for offset, frame in enumerate(_frames()[:PEOPLE]):
        engine.step(offset, frame)
    store.commit(engine.tables.take_changes(), Position(PEOPLE, 1))
    store.close()


def _harm(folder: Path) -> None:
    """In a block with rows of nodes only: it is not read at once."""
    (file,) = folder.glob("*.sst")
    content = bytearray(file.read_bytes())
    first = content.index(b"nodes\x00")
    content[content.index(b"nodes\x00", first + 1)] ^= 1
    file.write_bytes(content)


def test_an_event_whose_person_can_not_be_read_is_not_left_out(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    _written(folder)
    _harm(folder)
    store = RocksStore(folder, 1)
    store.ready(lambda done: None)
    isolating = Isolating(lambda: Engine(0, EngineConfig(SALT), loaded(store)), 20)
    with pytest.raises(Unreadable, match="is damaged"):
        isolating.fold(list(enumerate(_frames()))[PEOPLE:])
    store.close()
    again = RocksStore(folder, 1)
    assert again.position() == Position()
    again.close()


def test_a_store_can_be_closed_and_opened_again_while_somebody_still_reads_it(tmp_path: Path) -> None:
    _written(tmp_path / "store")
    store = RocksStore(tmp_path / "store", 1)
    store.ready(lambda done: None)
    later = loaded(store).frozen()
    store.close()
    RocksStore(tmp_path / "store", 1).close()
    with pytest.raises(StoreClosed):
        list(later)
