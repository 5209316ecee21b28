"""What a restore begins with, what it refuses, and what it says meanwhile."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from streams.journal.tables import Change, Tables
from streams.worker.state import progress as progress_module
from streams.worker.state.archive import Archive
from streams.worker.state.changelog import Commit
from streams.worker.state.log import OtherLog
from streams.worker.state.origin import UNKNOWN, Origin
from streams.worker.state.progress import Progress
from streams.worker.state.restore import Restore, Unrestorable
from streams.worker.state.snapshot import Header, view, write
from streams.worker.state.store import MemoryStore, Position, Store
from streams.worker.state.tail import ChangelogUnavailable
from streams.worker.telemetry import Telemetry
from streams.worker.work import Abandoned
from tests.support.changelogs import MemoryChangelog, Rows, by_key, rows_of

HERE = Origin("cluster", "journal", "changelog")
ROWS = {("t", "1"): 3, ("t", "2"): 2}


def _changelog(of: str = HERE.journal) -> MemoryChangelog:
    changelog = MemoryChangelog()
    for number, key in enumerate("121", 1):
        changelog.append(Commit(number, [Change("t", key, number)], of))
    return changelog


def _store(origin: Origin, changelog: int = 3) -> Store:
    store = MemoryStore()
    store.bind(origin)
    store.commit([Change("t", "1", 1), Change("t", "2", 2)], Position(2, changelog))
    return store


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(str(tmp_path), 0, HERE)


def _save(archive: Archive, position: Position, origin: Origin = HERE) -> None:
    rows = view(Tables([Change("t", "1", 1), Change("t", "2", 2)]))
    archive.save(position.changelog, write(Header(0, position, origin, 2, 0), rows))


def _restored(store: Store, changelog: MemoryChangelog, archive: Archive | None = None, here: Origin = HERE) -> Rows:
    tables, position = Restore(store, changelog, archive, here, lambda part, done, of: None).run()
    assert position == store.position()
    assert by_key(tables.rows()) == rows_of(store)
    return by_key(tables.rows())


@pytest.mark.parametrize("origin", [HERE, UNKNOWN])
def test_a_store_of_these_topics_is_gone_on_from(origin: Origin) -> None:
    store, changelog = _store(origin), _changelog()
    changelog.delete_below(3)  # so it can't have been read from its beginning
    assert _restored(store, changelog) == ROWS
    assert store.origin() == HERE


def test_a_store_of_another_cluster_is_not_trusted() -> None:
    store = _store(Origin("other", "journal-0", "changelog-0"))
    store.commit([Change("t", "theirs", 1)], Position(2, 3))
    assert _restored(store, _changelog()) == ROWS
    assert store.origin() == HERE


@pytest.mark.parametrize("offset", [1, 99])
def test_a_store_that_the_changelog_does_not_go_on_from_is_begun_anew(archive: Archive, offset: int) -> None:
    changelog = _changelog()
    changelog.delete_below(2)
    _save(archive, Position(2, 3))
    assert _restored(_store(HERE, offset), changelog, archive) == ROWS


def test_a_journal_made_anew_is_noticed_by_the_store_and_by_the_changelog_alone() -> None:
    here = HERE._replace(journal="journal-2")
    for store in (_store(HERE), MemoryStore()):
        with pytest.raises(OtherLog, match="is of journal journal, but journal-2 is there: was it made anew"):
            _restored(store, _changelog(), here=here)


def test_a_changelog_made_anew_is_noticed_by_the_store_which_stays_as_it_is() -> None:
    store = _store(HERE)
    with pytest.raises(OtherLog, match="the local store is of changelog changelog, but changelog-2 is there"):
        _restored(store, MemoryChangelog(), here=HERE._replace(changelog="changelog-2"))
    assert (store.position(), store.origin()) == (Position(2, 3), HERE)


def test_a_changelog_made_anew_is_noticed_by_the_snapshots_alone(archive: Archive, tmp_path: Path) -> None:
    _save(archive, Position(2, 3))
    here = HERE._replace(changelog="changelog-2")
    with pytest.raises(OtherLog, match="a snapshot is of changelog changelog, but changelog-2 is there"):
        _restored(MemoryStore(), MemoryChangelog(), Archive(str(tmp_path), 0, here), here)


def test_a_snapshot_that_says_it_is_of_other_topics_than_its_name_is_not_trusted(archive: Archive) -> None:
    _save(archive, Position(2, 3), Origin("other", "journal", "changelog"))
    assert _restored(MemoryStore(), _changelog(), archive) == ROWS


def test_rows_of_a_snapshot_that_turns_out_damaged_do_not_stay(archive: Archive) -> None:
    rows = view(Tables([Change("t", "gone", 1)]))
    kept = archive.save(3, write(Header(0, Position(2, 3), HERE, 1, 0), rows))
    file = Path(kept.path)
    file.write_bytes(file.read_bytes()[:-1])
    assert _restored(MemoryStore(), _changelog(), archive) == ROWS


def test_what_was_deleted_and_is_nowhere_else_is_told(archive: Archive) -> None:
    changelog = _changelog()
    changelog.delete_below(4)
    _save(archive, Position(2, 3))
    with pytest.raises(Unrestorable, match="begins at offset 4: what was before was deleted"):
        _restored(_store(HERE), changelog, archive)


def test_what_is_deleted_while_it_is_read_is_not_passed_over() -> None:
    changelog = _changelog()
    changelog.on_read = lambda: changelog.delete_below(3)
    with pytest.raises(ChangelogUnavailable, match="was cut off while it was read"):
        _restored(MemoryStore(), changelog)


def test_a_place_that_can_not_be_read_is_no_hindrance_while_the_changelog_has_it_all(tmp_path: Path) -> None:
    (tmp_path / "cluster").write_text("a file where a folder should be")
    assert _restored(MemoryStore(), _changelog(), Archive(str(tmp_path), 0, HERE)) == ROWS


def test_a_store_that_was_being_filled_from_a_snapshot_when_the_process_ended_is_begun_anew() -> None:
    store = MemoryStore()
    store.bind(HERE)
    store.commit([Change("t", "half", 1)], Position())
    assert _restored(store, _changelog()) == ROWS


def test_an_operator_sees_how_far_a_restore_is(
    archive: Archive, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(progress_module, "_LOG_EVERY_S", 0)
    telemetry = Telemetry("engine")
    _save(archive, Position(2, 3))
    told = Progress(7, telemetry, threading.Event()).told
    with caplog.at_level("INFO"):
        Restore(MemoryStore(), _changelog(), archive, HERE, told).run()
    assert 'siyu_restore_records{part="snapshot",shard="7"} 2.0' in telemetry.text()
    assert 'siyu_restore_records_expected{part="changelog",shard="7"} 3.0' in telemetry.text()
    assert "shard 7 is being restored: 2 of about 2, snapshot" in caplog.text


def test_a_restore_is_given_up_when_the_shard_goes() -> None:
    stopping = threading.Event()
    stopping.set()
    with pytest.raises(Abandoned):
        Restore(_store(HERE), _changelog(), None, HERE, Progress(0, Telemetry("engine"), stopping).told).run()


def test_a_restore_that_gets_on_is_seen_while_it_lasts(archive: Archive) -> None:
    _save(archive, Position(2, 2))
    progress = Progress(0, Telemetry("engine"), threading.Event())
    Restore(MemoryStore(), _changelog(), archive, HERE, progress.told).run()
    assert progress.steps > 1
