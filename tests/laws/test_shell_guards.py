"""Each guard in the shell is needed: a model that lacks one comes to a wrong end, and the law says so.

The classes below are the model less one thing each; `test_shell_exhaustive.py` shows that with it all ends are right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import msgpack
import pytest

from sinks import ledger
from streams.ingest.align import Cut
from streams.journal.clock import Clock
from streams.journal.tables import Change
from streams.topics import CHANGELOG
from streams.worker.state.changelog import Commit
from streams.worker.state.store import Position
from tests.support.shell import sink
from tests.support.shell.broker import Found
from tests.support.shell.check import every_end, wrong_facts, wrong_journal, wrong_outputs, wrong_state
from tests.support.shell.cluster import Cluster
from tests.support.shell.engine import Engine, Owned, Snapshotting, Unfenced, in_parts, outputs
from tests.support.shell.folds import Folded, by_chain, packed
from tests.support.shell.ingest import Twin
from tests.support.shell.lane import Lane
from tests.support.shell.scopes import APART, LINKS, RECEIPTS, engines, resolved, sinks, twins
from tests.support.shell.sink import Sink
from tests.support.shell.steps import Step
from tests.support.shell.world import Kept, World, after

Wrong = Callable[[World], str]


def _goes_wrong(cluster: Cluster, wrong: Wrong) -> bool:
    return any(wrong(end.cluster.world) for end in every_end(cluster))


def _wrong(world: World) -> str:
    return wrong_outputs(world, by_chain) or wrong_state(world, by_chain)


def _wrong_as_sets(world: World) -> str:
    return wrong_outputs(world, by_chain, once=False) or wrong_state(world, by_chain)


# The engine.


def test_an_owner_with_a_transactional_id_of_its_own_fences_nobody() -> None:
    assert _goes_wrong(engines(Engine("A", producer="A"), Engine("B", producer="B")), _wrong)


class RestoresFirst(Engine):
    """Reads the changelog, and only then keeps the last owner from adding to it."""

    async def open(self) -> tuple[Owned, int]:
        kept = await self.restore()
        return Owned(await self.fence(), kept), kept.position.journal


def test_a_restore_before_the_fence_misses_a_commit() -> None:
    assert _goes_wrong(engines(RestoresFirst("A"), RestoresFirst("B")), _wrong)


class StoresFirst(Engine):
    """Writes its store before Kafka has committed."""

    async def publish(self, epoch: int, folded: Folded, commit: Commit) -> int:
        await self.send(epoch, "the outputs", outputs(folded))
        return await self.send(epoch, "the changelog", in_parts(commit))

    async def process(self, state: Owned, frames: tuple[bytes, ...], wanted: int) -> Owned:
        owned = await super().process(state, frames, wanted)
        await Step("commits", lambda world: world.kafka.commit(self.producer, state.epoch))
        return owned


def test_a_store_that_is_ahead_of_the_changelog_loses_outputs() -> None:
    assert _goes_wrong(engines(StoresFirst("A"), StoresFirst("B")), _wrong)


class TornStore(Engine):
    """Writes rows, and then what they stand for."""

    async def store(self, kept: Kept, commit: Commit, end: int) -> Kept:
        now = after(kept, packed(commit.changes), Position(commit.journal, end))
        await Step("writes rows", lambda world: world.write(self.owner, Kept(kept.position, now.rows)))
        return await Step[Kept]("writes their position", lambda world: world.write(self.owner, now))


def test_rows_and_position_must_be_one_write() -> None:
    assert _goes_wrong(engines(TornStore("A"), TornStore("B")), _wrong)


class TwoTransactions(Engine):
    """Commits the outputs, and then the changelog."""

    async def publish(self, epoch: int, folded: Folded, commit: Commit) -> int:
        await self.send(epoch, "the outputs", outputs(folded))
        await Step("commits the outputs", lambda world: world.kafka.commit(self.producer, epoch))
        end = await self.send(epoch, "the changelog", in_parts(commit))
        await Step("commits the changelog", lambda world: world.kafka.commit(self.producer, epoch))
        return end


def test_outputs_in_another_transaction_than_the_changelog_come_twice() -> None:
    assert _goes_wrong(engines(TwoTransactions("A"), TwoTransactions("B")), _wrong)


class ReadsEverything(Engine):
    """Restores from records that were not committed, too."""

    async def read_on(self, at: int) -> Found | None:
        return await Step[Found | None]("reads", lambda world: next(world.kafka.everything(CHANGELOG, at), None))


def test_a_restore_from_uncommitted_records_loses_outputs() -> None:
    assert _goes_wrong(engines(ReadsEverything("A"), ReadsEverything("B")), _wrong)


class NeverSkips(Engine):
    """Works whatever it is handed, also below the offset that it was restored to."""

    def fresh(self, taken: Sequence[Found], wanted: int) -> list[Found]:
        return list(taken)

    async def without_gap(self, fresh: Sequence[Found], wanted: int) -> tuple[bytes, ...]:
        if fresh[0].offset > wanted:
            return await super().without_gap(fresh, wanted)
        return tuple(found.value for found in fresh)


def test_frames_below_the_restored_offset_must_be_skipped() -> None:
    assert _goes_wrong(engines(NeverSkips("A"), NeverSkips("B")), _wrong)


class Trusting(Lane):
    """Takes what it is handed for all that there is."""

    async def without_gap(self, fresh: Sequence[Found], wanted: int) -> tuple[bytes, ...]:
        return tuple(found.value for found in fresh)


class TrustingEngine(Trusting, Engine):
    pass


def test_frames_that_faust_passed_over_must_be_read_by_ourselves() -> None:
    assert _goes_wrong(engines(TrustingEngine("A"), TrustingEngine("B")), _wrong)


# Snapshots.


class WritesAsItReads(Snapshotting):
    """Looks whether the changelog was cut off when the store has been written already."""

    async def restore(self) -> Kept:
        while True:
            began = await Step[Kept]("opens its store", self.usable)
            kept = await self.catch_up(began)
            if await self.is_all_there(began):
                return kept


def test_a_store_written_from_a_changelog_with_a_hole_is_believed_later() -> None:
    assert _goes_wrong(engines(WritesAsItReads("A"), WritesAsItReads("B")), _wrong)


class NeverLooks(Snapshotting):
    """Believes that nobody cuts the changelog off while it is read."""

    async def is_all_there(self, kept: Kept) -> bool:
        return True


def test_a_zombie_may_cut_the_changelog_off_under_a_reader() -> None:
    assert _goes_wrong(engines(NeverLooks("A"), NeverLooks("B")), _wrong)


class BelievesItsStore(NeverLooks):
    """Goes on from its store, though what came after it may be deleted."""

    def usable(self, world: World) -> Kept:
        return world.disk(self.owner)


def test_a_store_that_the_changelog_no_longer_reaches_is_of_no_use() -> None:
    assert _goes_wrong(engines(BelievesItsStore("A"), BelievesItsStore("B")), _wrong)


class CutsFirst(Snapshotting):
    """Cuts the changelog off before the snapshot is kept."""

    async def process(self, state: Owned, frames: tuple[bytes, ...], wanted: int) -> Owned:
        owned = await Engine.process(self, state, frames, wanted)
        place = owned.kept.position.changelog
        await Step("cuts the changelog off", lambda world: world.kafka.cut_off(CHANGELOG, place))
        await Step("keeps a snapshot", lambda world: self.keep(world, owned.kept))
        return owned


def test_a_changelog_must_not_be_cut_off_before_the_snapshot_is_kept() -> None:
    assert _goes_wrong(engines(CutsFirst("A"), CutsFirst("B")), _wrong)


# Without transactions.


def test_without_transactions_two_owners_at_once_spoil_the_state() -> None:
    assert _goes_wrong(engines(Unfenced("A"), Unfenced("B", most=2), faults=2), _wrong_as_sets)


class ChangelogFirst(Unfenced):
    """Writes the changelog, and then what it says was published."""

    async def publish(self, epoch: int, folded: Folded, commit: Commit) -> int:
        ends = [1 + await self.append(*record) for record in in_parts(commit)]
        for record in outputs(folded):
            await self.append(*record)
        return ends[-1]


def test_without_transactions_outputs_must_go_before_the_changelog() -> None:
    cluster = engines(ChangelogFirst("A"), ChangelogFirst("B"), apart=APART)
    assert _goes_wrong(cluster, _wrong_as_sets)


class TakesParts(Unfenced):
    """Takes each part of a commit for a whole one."""

    async def catch_up(self, kept: Kept) -> Kept:
        at = kept.position.changelog
        while (found := await self.read_on(at)) is not None:
            at = found.offset + 1
            kept = await self.store(kept, _part(found.value), at)
        return kept


def _part(value: bytes) -> Commit:
    _, journal, _, _, group, *_ = msgpack.unpackb(value)
    return Commit(journal, [Change(*msgpack.unpackb(row, use_list=False)) for row in group])


def test_a_commit_whose_last_part_is_not_there_must_not_count() -> None:
    assert _goes_wrong(engines(TakesParts("A"), TakesParts("B"), apart=APART), _wrong_as_sets)


# Ingest.


class CommitsFirst(Twin):
    """Commits raw offsets before the frames are written."""

    async def journal(self, cut: Cut) -> None:
        await self.commit(cut.ranges)
        await self.send(cut)


def _two(kind: type[Twin]) -> Cluster:
    return twins(kind("A", (RECEIPTS, LINKS)), kind("B", (RECEIPTS, LINKS)), receipts=2, links=0, faults=1)


def test_raw_offsets_committed_before_the_frame_leave_a_gap() -> None:
    assert _goes_wrong(_two(CommitsFirst), wrong_journal)


def test_an_engine_without_marks_takes_raw_records_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Clock, "begin", lambda self, frame: [0 for _ in frame.ranges])
    assert _goes_wrong(_two(Twin), wrong_journal)


# The sink.


def _wrong_facts(world: World) -> str:
    return wrong_facts(world, resolved(3))


class TrustingSink(Trusting, Sink):
    pass


def test_resolved_frames_that_faust_passed_over_must_be_read_by_ourselves() -> None:
    assert _goes_wrong(sinks(TrustingSink("A"), frames=3, faults=1), _wrong_facts)


@pytest.fixture
def _writers_made_anew() -> Iterator[None]:
    """What writers did is remembered; here they are about to do something else."""
    sink.forget()
    yield
    sink.forget()


@pytest.mark.usefixtures("_writers_made_anew")
def test_the_block_in_doubt_must_be_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "in_doubt", lambda sink, shard: None)
    assert _goes_wrong(sinks(Sink("A"), frames=3, faults=1), _wrong_facts)
