"""When a snapshot is taken, and what becomes of the changelog then."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from streams.identity.nodes import Evidence
from streams.identity.persons import Persons
from streams.journal.tables import Change, Tables
from streams.settings import Snapshots as Schedule
from streams.worker.clients import BrokerUnavailable
from streams.worker.state import snapshots
from streams.worker.state.archive import Archive, Kept
from streams.worker.state.origin import Origin
from streams.worker.state.snapshots import Snapshots, erasures_of
from streams.worker.state.store import Position
from streams.worker.telemetry import Telemetry
from tests.support.changelogs import Rows, by_key

HERE = Origin("cluster", "journal", "changelog")
SELDOM = Schedule(every_rows=1_000_000, every_s=1_000_000)
OFTEN = Schedule(every_rows=1, every_s=1_000_000)


class Shard:
    """A shard that commits; `settle` waits for the snapshot that is being taken."""

    def __init__(
        self, archive: Archive, schedule: Schedule, prune: Callable[[int], None], tables: Tables | None = None
    ) -> None:
        self.tables = tables or Tables()
        self.telemetry = Telemetry("engine")
        self.archive = archive
        self.snapshots = Snapshots(0, schedule, archive, self.telemetry, prune, erasures=erasures_of(self.tables))
        self.at = 0

    def commit(self, *changes: Change) -> None:
        self.at += 1
        self.tables.take(changes)
        self.snapshots.committed(self.tables, Position(self.at, 10 * self.at), len(changes))

    def settle(self) -> None:
        for thread in threading.enumerate():
            if thread.name == "snapshot-0":
                thread.join()

    def kept(self) -> list[int]:
        self.settle()
        return [kept.changelog for kept in self.archive.kept()]

    def rows(self) -> Rows:
        with self.archive.load(self.archive.kept()[0]) as (_, parts):
            return by_key(change for part in parts for change in part.changes())


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(str(tmp_path), 0, HERE)


@pytest.fixture
def cuts() -> list[int]:
    """Where the changelog was cut off."""
    return []


@contextmanager
def _shard(
    archive: Archive, schedule: Schedule, prune: Callable[[int], None], tables: Tables | None = None
) -> Iterator[Shard]:
    shard = Shard(archive, schedule, prune, tables)
    try:
        yield shard
    finally:
        shard.snapshots.close()


def _row(number: int) -> Change:
    return Change("t", str(number), number)


def test_the_first_snapshot_is_taken_with_the_first_commit(archive: Archive, cuts: list[int]) -> None:
    with _shard(archive, SELDOM, cuts.append) as shard:
        shard.commit(_row(1))
        assert shard.kept() == [10]
        shard.commit(_row(2))
        assert shard.kept() == [10]


def test_another_owner_counts_from_when_the_newest_was_taken(archive: Archive, cuts: list[int]) -> None:
    for _ in range(2):
        with _shard(archive, SELDOM, cuts.append) as shard:
            shard.commit(_row(1))
            assert shard.kept() == [10]
    with _shard(archive, Schedule(every_s=1), cuts.append) as shard:
        shard.at = 1
        while shard.kept() == [10]:
            shard.commit(_row(1))


def test_a_snapshot_is_due_after_so_many_changed_rows(archive: Archive, cuts: list[int]) -> None:
    with _shard(archive, Schedule(every_rows=5), cuts.append) as shard:
        for _ in range(12):
            shard.commit(_row(0))
            shard.settle()
        assert shard.kept() == [110, 60]


def test_or_after_as_many_as_there_are_rows_where_that_is_more(archive: Archive, cuts: list[int]) -> None:
    with _shard(archive, OFTEN, cuts.append) as shard:
        shard.commit(*map(_row, range(100)))
        assert shard.kept() == [10]
        for number in range(99):
            shard.commit(_row(number))
        assert shard.kept() == [10]
        shard.commit(_row(0))
        assert shard.kept() == [1010, 10]


def test_after_an_erasure_both_kept_snapshots_are_taken_anew(archive: Archive, cuts: list[int]) -> None:
    """Whatever is due otherwise; and the changelog is cut off below the older one of the two."""
    pruned = Schedule(url="file:///kept", every_rows=1_000_000, every_s=1_000_000, prune=True)
    with _shard(archive, pruned, cuts.append) as shard:
        for _ in range(4):
            shard.commit(_row(1))
        assert shard.kept() == [10]
        shard.snapshots.anew()
        for _ in range(4):
            shard.commit(_row(2))
            shard.settle()
        assert shard.kept() == [60, 50]
        assert cuts[-1] == 50


@pytest.mark.parametrize("taken", [0, 1, 2])
def test_what_an_erasure_wants_is_done_by_the_next_owner(archive: Archive, cuts: list[int], taken: int) -> None:
    """However many of its snapshots the owner that erased has taken before it ended, and before it pruned."""
    with _shard(archive, OFTEN, cuts.append) as shard:
        for number in range(2):
            shard.commit(_row(number))
            shard.settle()
        erased, at = shard.tables, shard.at
    erased.take([Change("erased", "hash", (1, 7))])
    with _shard(archive, SELDOM, cuts.append, erased) as shard:
        shard.at = at
        for number in range(taken):
            shard.commit(_row(number))
            shard.settle()
        at = shard.at
    assert cuts == []
    pruned = Schedule(url="file:///kept", every_rows=1_000_000, every_s=1_000_000, prune=True)
    with _shard(archive, pruned, cuts.append, erased) as shard:
        shard.at = at
        for number in range(4):
            shard.commit(_row(number))
            shard.settle()
        assert shard.kept() == [40, 30]
        assert cuts[-1] == 30
    with _shard(archive, pruned, cuts.append, erased) as shard:
        shard.at = 50
        shard.commit(_row(1))
        assert shard.kept() == [40, 30]


def test_a_snapshot_holds_the_rows_of_its_commit_and_none_of_a_later_one(archive: Archive, cuts: list[int]) -> None:
    with _shard(_Held(archive), OFTEN, cuts.append) as shard:
        shard.commit(_row(1), _row(2))
        shard.commit(Change("t", "1", "later"), Change("t", "2", None))
        assert isinstance(shard.archive, _Held)
        shard.archive.go_on.set()
        assert shard.kept() == [10]
        assert shard.rows() == {("t", "1"): 1, ("t", "2"): 2}


class _Held(Archive):
    """A place that takes nothing before `go_on` is set."""

    def __init__(self, archive: Archive) -> None:
        self.__dict__.update(archive.__dict__)
        self.go_on = threading.Event()

    def save(self, changelog: int, pieces: Iterable[bytes]) -> Kept:
        self.go_on.wait()
        return super().save(changelog, pieces)


def test_a_place_that_hangs_holds_no_commit_up_and_gets_no_second_snapshot(archive: Archive, cuts: list[int]) -> None:
    held = _Held(archive)
    with _shard(held, OFTEN, cuts.append) as shard:
        for number in range(5):
            shard.commit(_row(number))
        held.go_on.set()
        assert shard.kept() == [10]
        shard.commit(*map(_row, range(5)))
        assert shard.kept() == [60, 10]


def test_the_changelog_is_cut_off_below_the_older_of_two(archive: Archive, cuts: list[int]) -> None:
    pruning = Schedule(every_rows=1, url="file:///there", prune=True)
    with _shard(archive, pruning, cuts.append) as shard:
        for _ in range(4):
            shard.commit(_row(0))
            shard.settle()
        assert (shard.kept(), cuts) == ([40, 30], [10, 20, 30])


def test_nothing_is_deleted_where_that_is_not_wanted(archive: Archive, cuts: list[int]) -> None:
    with _shard(archive, OFTEN, cuts.append) as shard:
        for _ in range(4):
            shard.commit(_row(0))
            shard.settle()
        assert (shard.kept(), cuts) == ([40, 30], [])


def _refuse(offset: int) -> None:
    raise BrokerUnavailable("it can't")


def test_a_broker_that_deletes_no_records_is_left_alone(archive: Archive) -> None:
    with _shard(archive, Schedule(every_rows=1, url="file:///there", prune=True), _refuse) as shard:
        for _ in range(3):
            shard.commit(_row(0))
            shard.settle()
        assert shard.kept() == [30, 20]
        assert "siyu_snapshots_total" in shard.telemetry.text()
        assert "siyu_snapshot_failures_total" not in shard.telemetry.text()


def test_a_place_that_fails_is_told_and_ends_nothing(tmp_path: Path, cuts: list[int]) -> None:
    (tmp_path / "cluster").write_text("a file where a folder should be")
    with _shard(Archive(str(tmp_path), 0, HERE), OFTEN, cuts.append) as shard:
        shard.commit(_row(1))
        shard.settle()
        shard.commit(_row(2))
        assert 'siyu_snapshot_failures_total{shard="0"} 1.0' in shard.telemetry.text()


def test_what_is_under_way_is_given_up_when_the_shard_goes(
    archive: Archive, tmp_path: Path, cuts: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshots, "_LET_GO_WITHIN_S", 0)
    held = _Held(archive)
    shard = Shard(held, OFTEN, cuts.append)
    shard.commit(_row(1))
    shard.snapshots.close()
    held.go_on.set()
    assert shard.kept() == []
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_shard_that_goes_does_not_wait_for_the_snapshot_of_another(archive: Archive, cuts: list[int]) -> None:
    held = _Held(archive)
    first, second = Shard(held, OFTEN, cuts.append), Shard(held, OFTEN, cuts.append)
    first.commit(_row(1))
    second.commit(_row(1))
    second.snapshots.close()
    assert sum(thread.name == "snapshot-0" for thread in threading.enumerate()) == 1
    held.go_on.set()
    first.snapshots.close()


def _uid(number: int) -> str:
    return f"t1\x1fuid\x1f\x1fu-{number:04d}"


def _known(most_at_hand: int) -> tuple[Tables, Persons]:
    """Persons with an account and a phone each; of more rows than so many the others are packed."""
    tables = Tables(most_at_hand=most_at_hand)
    persons = Persons(tables, b"salt")
    for number in range(100):
        phone = f"t1\x1fphone\x1f\x1f+86139{number:08d}"
        persons.resolve((_uid(number), phone), Evidence(f"e{number}", number))
    return tables, persons


@pytest.mark.parametrize("most_at_hand", [2, 1_000])
@pytest.mark.parametrize("told", [True, False])
def test_a_snapshot_that_an_erasure_overtakes_is_no_failure_and_two_without_the_erased_follow_at_once(
    archive: Archive, cuts: list[int], most_at_hand: int, told: bool
) -> None:
    """Packed rows can't be written any more when an id in them is wiped, be that before the commit or after it."""
    tables, persons = _known(most_at_hand)
    held = _Held(archive)
    with _shard(held, SELDOM, cuts.append, tables) as shard:
        shard.commit()
        persons.commands.erase("t1", _uid(7), Evidence("erase", 1_000))
        if told:
            shard.snapshots.anew()
        held.go_on.set()
        packed = most_at_hand == 2
        assert shard.kept() == ([] if told or packed else [10])
        shard.snapshots.anew()
        for _ in range(4):
            shard.commit()
            shard.settle()
        assert shard.kept() == [30, 20]
        assert "siyu_snapshot_failures_total" not in shard.telemetry.text()
        for kept in archive.kept():
            with archive.load(kept) as (_, parts):
                rows = by_key(change for part in parts for change in part.changes())
            assert rows == by_key(tables.rows())
            assert "u-0007" not in repr(rows)
