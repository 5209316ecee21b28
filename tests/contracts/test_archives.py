"""One suite over the places where snapshots are kept: a local folder, and one that fsspec knows by its URL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import fsspec
import pytest

from streams.journal.tables import Change, Tables
from streams.worker.state.archive import Archive
from streams.worker.state.origin import UNKNOWN, Origin
from streams.worker.state.snapshot import Header, UnusableSnapshot, view, write
from streams.worker.state.store import Position
from tests.support.changelogs import Rows, by_key

HERE = Origin("cluster/1", "journal", "changelog")


@pytest.fixture(params=["folder", "file", "memory"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param != "memory":
        yield f"file://{tmp_path}/deep/place" if request.param == "file" else str(tmp_path / "deep" / "place")
        return
    yield f"memory:/{tmp_path}"
    memory = fsspec.filesystem("memory")
    for path in memory.find(str(tmp_path)):
        memory.rm_file(path)


@pytest.fixture
def archive(place: str) -> Archive:
    return Archive(place, 3, HERE)


def _pieces(changelog: int, shard: int = 3) -> Iterator[bytes]:
    tables = Tables([Change("t", "at", changelog)])
    return write(Header(shard, Position(7, changelog), HERE, 1, 0), view(tables))


def _save(archive: Archive, *changelogs: int) -> None:
    for changelog in changelogs:
        archive.save(changelog, _pieces(changelog))


def _offsets(archive: Archive) -> list[int]:
    return [kept.changelog for kept in archive.kept()]


def _rows(archive: Archive) -> Rows:
    with archive.load(archive.kept()[0]) as (header, parts):
        assert header.position == Position(7, archive.kept()[0].changelog)
        return by_key(change for part in parts for change in part.changes())


def _files(place: str) -> list[str]:
    fs, root = fsspec.url_to_fs(place)
    return sorted(path.rpartition("/")[2] for path in fs.find(root))


def test_a_place_that_is_not_there_yet_has_no_snapshots(archive: Archive) -> None:
    assert (archive.kept(), archive.others(), archive.drop_old()) == ([], [], [])


def test_what_is_kept_is_listed_the_newest_first_and_can_be_read(archive: Archive) -> None:
    _save(archive, 5, 100, 20)
    assert _offsets(archive) == [100, 20, 5]
    assert _rows(archive) == {("t", "at"): 100}


def test_a_snapshot_of_the_same_offset_takes_the_place_of_the_first(archive: Archive) -> None:
    _save(archive, 5, 5)
    assert _offsets(archive) == [5]
    assert _rows(archive) == {("t", "at"): 5}


def test_the_newest_two_stay(archive: Archive) -> None:
    _save(archive, 1, 2, 3, 4)
    assert [kept.changelog for kept in archive.drop_old()] == [4, 3]
    assert _offsets(archive) == [4, 3]


def _failing(changelog: int) -> Iterator[bytes]:
    yield from list(_pieces(changelog))[:2]
    raise ConnectionError("no more")


def test_one_that_fails_half_way_is_not_there_and_leaves_the_others(archive: Archive, place: str) -> None:
    _save(archive, 1)
    with pytest.raises(ConnectionError):
        archive.save(2, _failing(2))
    assert _files(place) == ["00000000000000000001-changelog"]


def test_one_that_is_not_whole_when_it_is_read_again_does_not_count(archive: Archive) -> None:
    with pytest.raises(UnusableSnapshot):
        archive.save(2, list(_pieces(2))[:-1])


def test_what_a_process_that_was_killed_left_half_written_is_not_seen_and_removed_later(
    archive: Archive, place: str
) -> None:
    _save(archive, 1)
    fs, _ = fsspec.url_to_fs(place)
    fs.pipe_file(f"{archive.kept()[0].path}.0123abcd.part", b"half")
    assert _offsets(archive) == [1]
    archive.drop_old()
    assert len(_files(place)) == 2
    _save(archive, 2)
    archive.drop_old()
    assert _files(place) == ["00000000000000000001-changelog", "00000000000000000002-changelog"]


def test_a_file_of_somebody_else_is_left_alone(archive: Archive, place: str) -> None:
    _save(archive, 1)
    fs, _ = fsspec.url_to_fs(place)
    fs.pipe_file(archive.kept()[0].path.rpartition("/")[0] + "/README.txt", b"")
    assert _offsets(archive) == [1]
    assert "README.txt" in _files(place)


@pytest.mark.parametrize(
    "other",
    [
        lambda place: Archive(place, 4, HERE),
        lambda place: Archive(place, 3, HERE._replace(cluster="cluster")),
        lambda place: Archive(place, 3, HERE._replace(journal="journal-2")),
        lambda place: Archive(place, 3, HERE._replace(changelog="changelog-2")),
        lambda place: Archive(place, 3, UNKNOWN),
    ],
    ids=["shard", "cluster", "journal", "changelog", "unknown"],
)
def test_snapshots_of_another_shard_or_of_other_topics_are_not_seen_and_not_removed(
    archive: Archive, place: str, other: Callable[[str], Archive]
) -> None:
    _save(archive, 1, 2)
    theirs = other(place)
    _save(theirs, 11, 12, 13)
    theirs.drop_old()
    assert (_offsets(archive), _offsets(theirs)) == ([2, 1], [13, 12])


def test_a_changelog_that_stood_beside_the_journal_before_is_told(archive: Archive, place: str) -> None:
    _save(Archive(place, 3, HERE._replace(changelog="changelog-0")), 1)
    _save(Archive(place, 3, HERE._replace(changelog="")), 1)
    _save(archive, 1)
    assert archive.others() == ["changelog-0"]


def test_a_file_under_another_name_than_its_own_is_refused(archive: Archive) -> None:
    archive.save(2, _pieces(1))
    with pytest.raises(UnusableSnapshot, match="changelog offset 1"), archive.load(archive.kept()[0]):
        pass


def test_a_file_of_another_shard_is_refused(archive: Archive) -> None:
    archive.save(2, _pieces(2, shard=1))
    with pytest.raises(UnusableSnapshot, match="shard 1"), archive.load(archive.kept()[0]):
        pass
