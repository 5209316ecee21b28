"""The engine's protocol, step by step: what `streams.worker.fold`, `output` and `state.restore` do, in their order.

In: journal frames. Out: outputs, a resolved frame each and the changelog, in one transaction; then the owner's store.
Never: an output of a frame that is not in the changelog beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import pytest

from streams.topics import CHANGELOG, JOURNAL, RESOLVED
from streams.worker.state import changelog
from streams.worker.state.changelog import Assembler, Commit, pack
from streams.worker.state.store import Position
from tests.support.shell.broker import Found
from tests.support.shell.folds import Fold, Folded, by_chain, packed
from tests.support.shell.lane import Lane
from tests.support.shell.steps import Step
from tests.support.shell.world import NOTHING, Kept, World, after

Records = Sequence[tuple[str, bytes]]


class Owned(NamedTuple):
    """What an engine remembers between batches: its producer's epoch, and all that its store holds."""

    epoch: int
    kept: Kept


@dataclass(frozen=True)
class Engine(Lane):
    """An owner of the shard. The transactional id is the shard's, so that an owner fences whoever was it before."""

    topic: str = JOURNAL
    fold: Fold = by_chain
    producer: str = "siyu-engine-0"

    def number(self, found: Found) -> int:
        """Offsets of the journal have no gaps."""
        return found.offset

    async def open(self) -> tuple[Owned, int]:
        """First the last owner is fenced; then the changelog, which nobody else adds to now, is read to its end."""
        epoch = await self.fence()
        kept = await self.restore()
        return Owned(epoch, kept), kept.position.journal

    async def fence(self) -> int:
        return await Step[int]("fences the last owner", lambda world: world.kafka.init_transactions(self.producer))

    async def restore(self) -> Kept:
        return await self.catch_up(await Step("opens its store", lambda world: world.disk(self.owner)))

    async def catch_up(self, kept: Kept) -> Kept:
        """The store is a cache of the changelog: what it lacks of it is added, commit by commit."""
        assembler = Assembler()
        at = kept.position.changelog
        while (found := await self.read_on(at)) is not None:
            at = found.offset + 1
            commit = assembler.add(found.value)
            if commit is not None:
                kept = await self.store(kept, commit, at)
        return kept

    async def read_on(self, at: int) -> Found | None:
        return await Step[Found | None](
            "reads on in the changelog", lambda world: next(world.kafka.committed(CHANGELOG, at), None)
        )

    async def process(self, state: Owned, frames: tuple[bytes, ...], wanted: int) -> Owned:
        """Fold, publish, store. Only then is anything acknowledged."""
        folded = self.fold(state.kept.rows, wanted, frames)
        commit = Commit(wanted + len(frames), list(folded.changes))
        end = await self.publish(state.epoch, folded, commit)
        return Owned(state.epoch, await self.store(state.kept, commit, end))

    async def publish(self, epoch: int, folded: Folded, commit: Commit) -> int:
        """One transaction; the offset of the changelog after it."""
        await self.send(epoch, "the outputs", outputs(folded))
        end = await self.send(epoch, "the changelog", in_parts(commit))
        await Step("commits", lambda world: world.kafka.commit(self.producer, epoch))
        return end

    async def send(self, epoch: int, what: str, records: Records) -> int:
        def do(world: World) -> int:
            return [world.kafka.send(self.producer, epoch, *record) for record in records][-1] + 1

        return await Step[int](f"sends {what}", do)

    async def store(self, kept: Kept, commit: Commit, end: int) -> Kept:
        """Rows and position in one write."""
        now = after(kept, packed(commit.changes), Position(commit.journal, end))
        return await Step[Kept]("writes its store", lambda world: world.write(self.owner, now))


class Unfenced(Engine):
    """On a broker without transactions: the outputs, then the changelog, whose parts may be torn."""

    async def fence(self) -> int:
        return 0

    async def publish(self, epoch: int, folded: Folded, commit: Commit) -> int:
        end = 0
        for topic, value in [*outputs(folded), *in_parts(commit)]:
            end = 1 + await self.append(topic, value)
        return end

    async def append(self, topic: str, value: bytes) -> int:
        return await Step[int](f"writes to {topic}", lambda world: world.kafka.append(topic, value))


class Snapshotting(Engine):
    """Keeps a snapshot after each commit, and cuts the changelog off below the older of the last two."""

    async def restore(self) -> Kept:
        """From the store or, where the changelog was cut off beyond it, from the newest snapshot.

        A zombie may cut it off while we read, and a reader is not told: it goes on at the new beginning. So nothing of
        what was read is written before we have looked whether all of it was there.
        """
        while True:
            kept = await Step("opens its store", self.usable)
            commits = await self.tail(kept.position.changelog)
            if await self.is_all_there(kept):
                for commit, end in commits:
                    kept = await self.store(kept, commit, end)
                return kept

    def usable(self, world: World) -> Kept:
        kept = world.disk(self.owner)
        if _reaches(world, kept):
            return kept
        return world.write(self.owner, max((NOTHING, *world.snapshots), key=_place))

    async def tail(self, at: int) -> list[tuple[Commit, int]]:
        commits = []
        assembler = Assembler()
        while (found := await self.read_on(at)) is not None:
            at = found.offset + 1
            commit = assembler.add(found.value)
            if commit is not None:
                commits.append((commit, at))
        return commits

    async def is_all_there(self, kept: Kept) -> bool:
        return await Step[bool]("looks where the changelog begins now", lambda world: _reaches(world, kept))

    async def process(self, state: Owned, frames: tuple[bytes, ...], wanted: int) -> Owned:
        owned = await super().process(state, frames, wanted)
        oldest = await Step("keeps a snapshot", lambda world: self.keep(world, owned.kept))
        await Step("cuts the changelog off", lambda world: world.kafka.cut_off(CHANGELOG, oldest))
        return owned

    def keep(self, world: World, kept: Kept) -> int:
        """Snapshots are named by their place in the changelog, and the two newest stay; the older one's place."""
        world.snapshots = tuple(sorted({*world.snapshots, kept}, key=_place)[-2:])
        return _place(world.snapshots[0]) if len(world.snapshots) == 2 else 0


def _place(kept: Kept) -> int:
    return kept.position.changelog


def _reaches(world: World, kept: Kept) -> bool:
    """Whether the changelog still has all that comes after this."""
    return world.kafka.starts.get(CHANGELOG, 0) <= _place(kept)


def outputs(folded: Folded) -> Records:
    """Public records and resolved frames, with their topics."""
    return [*folded.public, *((RESOLVED, value) for value in folded.resolved)]


def in_parts(commit: Commit) -> Records:
    """The commit as records of the changelog, a row each, so that it can be torn."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(changelog, "PART_BYTES", 1)
        return [(CHANGELOG, value) for value in pack(commit)]
