"""Ingest's protocol, step by step: what `streams.worker.ingest`, `reader` and `sender` do, over the real aligner.

In: raw records. Out: journal frames and dead letters, then the raw offsets. Never: an offset before its frames.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from schemas.codec import encode
from schemas.registry import LocalRegistry
from streams.ingest.align import Aligner, Cut
from streams.ingest.intake import Intake
from streams.ingest.record import RawRecord
from streams.ingest.validate import Limits
from streams.journal.frame import Partition, Progress, RawRange, encode_frame
from streams.topics import DEADLETTER, JOURNAL
from tests.support.shell.steps import Step, Then
from tests.support.shell.world import World

TENANT = "t1"
_REGISTRY = LocalRegistry()
_INTAKE = Intake(_REGISTRY, frozenset({TENANT}), Limits(), shards=1)
_PATIENT = 1 << 40

Offsets = tuple[tuple[Partition, int], ...]


class Read(NamedTuple):
    """What one look at Kafka gave: the wall before it, and records."""

    now_ms: int
    records: tuple[RawRecord, ...]


@dataclass(frozen=True)
class Twin:
    """An ingest worker that was given these partitions; another one may have been given some of them too."""

    owner: str
    partitions: tuple[Partition, ...]
    most: int = 100

    async def run(self) -> Then:
        """Begins at the committed offsets."""
        at = await Step("is given its partitions", self._committed)
        aligner = Aligner(_PATIENT, 1 << 20)
        for part, offset in at:
            aligner.assign(part, offset)
        return self.turn, (pickle.dumps(aligner), at, 0)

    async def turn(self, remembered: bytes, before: Offsets, held: int) -> Then:
        """Reads, asks which partitions are at their ends, cuts as far as is certain, and journals the cuts."""
        aligner: Aligner = pickle.loads(remembered)
        found = await self.read(dict(before), held)
        aligner.add(found.records)
        at = dict(before) | {record.of: record.offset + 1 for record in found.records}
        for part, end in await Step("asks for the ends", self._ends):
            if end == at[part]:
                aligner.idle(part, end, found.now_ms)
        held += len(found.records)
        while (cut := aligner.cut(0, self.most)) is not None:
            held -= len(cut.records)
            await self.journal(cut)
        return self.turn, (pickle.dumps(aligner), tuple(at.items()), held)

    async def read(self, at: Mapping[Partition, int], held: int) -> Read:
        """The wall, and then what came since; while some records are held back, that nothing came is news as well."""

        def ready(world: World) -> bool:
            return bool(held or self._unread(world, at))

        return await Step[Read]("reads", lambda world: Read(world.now_ms, self._unread(world, at)), ready)

    async def journal(self, cut: Cut) -> None:
        """First the frame and the dead letters, each acknowledged by Kafka; then the offsets."""
        await self.send(cut)
        await self.commit(cut.ranges)

    async def send(self, cut: Cut) -> None:
        frame, letters = _taken_in(tuple(cut.records), cut.ranges, cut.progress)
        for letter in letters:
            await self.append("a dead letter", DEADLETTER, letter)
        await self.append("a frame", JOURNAL, frame)

    async def append(self, what: str, topic: str, value: bytes) -> int:
        return await Step[int](f"sends {what}", lambda world: world.kafka.append(topic, value))

    async def commit(self, ranges: Iterable[RawRange]) -> None:
        ends = {_group(part.of): part.end for part in ranges}
        await Step("commits raw offsets", lambda world: world.kafka.groups.update(ends))

    def _committed(self, world: World) -> Offsets:
        return tuple((part, world.kafka.groups.get(_group(part), 0)) for part in self.partitions)

    def _unread(self, world: World, at: Mapping[Partition, int]) -> tuple[RawRecord, ...]:
        return tuple(record for part in self.partitions for record in world.raw.get(part, ())[at[part] :])

    def _ends(self, world: World) -> Offsets:
        return tuple((part, len(world.raw.get(part, ()))) for part in self.partitions)


def _group(part: Partition) -> str:
    return f"{part.topic}/{part.partition}"


@lru_cache(maxsize=1 << 12)
def _taken_in(
    records: tuple[RawRecord, ...], ranges: tuple[RawRange, ...], progress: tuple[Progress, ...]
) -> tuple[bytes, tuple[bytes, ...]]:
    batch = _INTAKE.process(Cut(list(records), ranges, progress, 0))
    letters = (encode("dead_letter", letter, _REGISTRY.id_of("dead_letter")) for letter in batch.dead_letters)
    return encode_frame(batch.frames[0]), tuple(letters)
