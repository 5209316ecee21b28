"""A restore gives what all commits made, whatever was lost, damaged or cut off before it; or it says that it can't."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import suppress
from uuid import uuid4

import fsspec
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from streams.journal.tables import Change, Tables
from streams.worker.state import changelog as codec
from streams.worker.state import snapshot
from streams.worker.state.archive import Archive, Kept
from streams.worker.state.changelog import Commit
from streams.worker.state.origin import Origin
from streams.worker.state.restore import Restore, Unrestorable
from streams.worker.state.snapshot import Header, view, write
from streams.worker.state.store import MemoryStore, Position, Store
from streams.worker.state.tail import ChangelogUnavailable
from tests.support.changelogs import MemoryChangelog, Rows, after, by_key, rows_of
from tests.support.profiles import law

HERE = Origin("cluster", "journal-1", "changelog-1")
_CHANGES = st.lists(
    st.builds(
        Change,
        st.sampled_from("ab"),
        st.sampled_from("12345"),
        st.none() | st.integers(0, 9) | st.tuples(st.text(max_size=3)),
    ),
    max_size=6,
    unique_by=lambda change: (change.table, change.key),
)


class Crash(Exception):
    """The process ends here."""


class Shard(RuleBasedStateMachine):
    """A shard that commits, takes snapshots, cuts its changelog off, and loses what it has."""

    def __init__(self) -> None:
        super().__init__()
        self.places: list[str] = []
        self._begin()

    def _begin(self) -> None:
        """A shard that nobody has worked on, in a world of its own."""
        self.place = f"memory://{uuid4().hex}"
        self.archive = Archive(self.place, 0, HERE)
        self.changelog = MemoryChangelog()
        self.store: Store = MemoryStore()
        self.elsewhere: Store = MemoryStore()
        self.tables = Tables()
        self.rows: Rows = {}
        self.position = Position()
        self.journal = 0
        self.whole: set[str] = set()
        self.places.append(self.place)

    def teardown(self) -> None:
        for place in self.places:
            fs, root = fsspec.url_to_fs(place)
            if fs.exists(root):
                fs.rm(root, recursive=True)

    @rule(changes=_CHANGES, part_bytes=st.integers(1, 60), reaches_store=st.booleans())
    def commit(self, changes: list[Change], part_bytes: int, reaches_store: bool) -> None:
        self.journal += 1
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(codec, "PART_BYTES", part_bytes)
            end = self.changelog.append(Commit(self.journal, changes, HERE.journal))
        self.tables.take(changes)
        self.rows = after(self.rows, changes)
        self.position = Position(self.journal, end)
        if reaches_store:
            self.store.commit(changes, self.position)
        else:
            self.restored()

    @rule(changes=_CHANGES)
    def a_commit_is_cut_short(self, changes: list[Change]) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(codec, "PART_BYTES", 1)
            self.changelog.append(Commit(self.journal + 1, changes), cut_short=True)
        self.restored()

    @rule()
    def a_snapshot_is_taken(self) -> None:
        self._save()
        self.archive.drop_old()

    @rule()
    def a_snapshot_is_taken_and_the_changelog_cut_off(self) -> None:
        self._save()
        kept = self.archive.drop_old()
        if len(kept) == 2:
            self.changelog.delete_below(kept[1].changelog)

    @rule(pieces=st.integers(0, 4))
    def a_crash_while_a_snapshot_is_written(self, pieces: int) -> None:
        with pytest.raises(Crash):
            self.archive.save(self.position.changelog, self._crashing(pieces))

    def _save(self) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(snapshot, "_ROWS", 1)  # so that one that is damaged is half read before that is noticed
            pieces = list(write(self._header(), view(self.tables)))
        self.whole.add(self.archive.save(self.position.changelog, pieces).path)

    def _crashing(self, pieces: int) -> Iterator[bytes]:
        for piece, _ in zip(write(self._header(), view(self.tables)), range(pieces), strict=False):
            yield piece
        raise Crash

    def _header(self) -> Header:
        return Header(0, self.position, HERE, len(self.rows), 0)

    @precondition(lambda self: self._whole())
    @rule(newest=st.booleans(), at=st.floats(0, 1, exclude_max=True), cut=st.booleans())
    def a_snapshot_is_damaged(self, newest: bool, at: float, cut: bool) -> None:
        kept = self._whole()[0 if newest else -1]
        fs, _ = fsspec.url_to_fs(self.place)
        content = bytearray(fs.cat_file(kept.path))
        place = int(at * len(content))
        content[place] ^= 1
        fs.pipe_file(kept.path, bytes(content[:place] if cut else content))
        self.whole.discard(kept.path)

    @precondition(lambda self: self._whole())
    @rule(newest=st.booleans())
    def a_snapshot_is_lost(self, newest: bool) -> None:
        fsspec.url_to_fs(self.place)[0].rm_file(self._whole()[0 if newest else -1].path)

    def _whole(self) -> list[Kept]:
        return [kept for kept in self.archive.kept() if kept.path in self.whole]

    @rule()
    def the_store_is_lost(self) -> None:
        self.store = MemoryStore()
        self.restored()

    @rule()
    def another_host_takes_over(self) -> None:
        self.store, self.elsewhere = self.elsewhere, self.store
        self.restored()

    @rule()
    def the_store_falls_back(self) -> None:
        """To what it is now, at a later time."""
        self.elsewhere = copy.deepcopy(self.store)

    @rule(records=st.integers(0, 5))
    def the_changelog_is_cut_off_while_a_restore_reads_it(self, records: int) -> None:
        """By the last owner, whose snapshot has just become durable."""
        left = iter(range(records))
        self.changelog.on_read = lambda: self._cut_to_a_snapshot() if next(left, None) is None else None
        with suppress(ChangelogUnavailable):
            self.restored()
        self.changelog.on_read = lambda: None
        self.restored()

    def _cut_to_a_snapshot(self) -> None:
        for kept in self._whole()[-1:]:
            self.changelog.delete_below(kept.changelog)

    def restored(self) -> None:
        """The process ends, and another one begins."""
        first, end = self.changelog.bounds()
        at = self.store.position()
        reached = (at != Position() and first <= at.changelog <= end) or any(
            first <= kept.changelog for kept in self._whole()
        )
        restore = Restore(self.store, self.changelog, self.archive, HERE, lambda part, done, of: None)
        if first > 0 and not reached:
            with pytest.raises(Unrestorable):
                restore.run()
            self._begin()
            return
        self.tables, position = restore.run()
        assert by_key(self.tables.rows()) == self.rows
        assert rows_of(self.store) == self.rows
        assert position == self.store.position() == self.position
        assert self.store.origin() == HERE


def test_a_restore_gives_what_all_commits_made() -> None:
    run_state_machine_as_test(Shard, settings=law)
