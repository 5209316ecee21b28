"""A lane, step by step: `streams.worker.lane`, for the engine and the sink alike.

In: what Faust hands out, as often and as late as it likes. Out: frames to work, each once and in order.
Never: trust in Faust: its offsets are a hint.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from tests.support.shell.broker import Found
from tests.support.shell.steps import Step, Then
from tests.support.shell.world import World


@dataclass(frozen=True)
class Lane:
    """One owner of a partition of `topic`, which takes at most `most` frames in a batch."""

    owner: str
    topic: str
    most: int = 1

    async def open(self) -> tuple[Hashable, int]:
        """Gets ready; what is to be remembered, and the number of the first frame that is wanted."""
        raise NotImplementedError

    async def process(self, state: Any, frames: tuple[bytes, ...], wanted: int) -> Hashable:
        """Works frames, the first of which has number `wanted`; they are safe when it returns."""
        raise NotImplementedError

    def number(self, found: Found) -> int:
        """The frame's number: they have no gaps, though offsets may."""
        raise NotImplementedError

    async def run(self) -> Then:
        """Opens; Faust begins to hand out frames where somebody acknowledged last, and then batch follows batch."""
        state, wanted = await self.open()
        await Step("is handed frames from the committed offset on", self._join)
        return self.batch, (state, wanted)

    async def batch(self, state: Any, wanted: int) -> Then:
        """Frames below what is wanted are skipped; those that were passed over are read by ourselves."""
        taken = await Step("takes frames", self._take, lambda world: bool(self._next(world)))
        fresh = self.fresh(taken, wanted)
        if fresh:
            frames, wanted, began = await self.without_gap(fresh, wanted), self.number(fresh[-1]) + 1, wanted
            state = await self.process(state, frames, began)
        await self.acknowledge(taken)
        return self.batch, (state, wanted)

    def fresh(self, taken: Sequence[Found], wanted: int) -> list[Found]:
        """The frames from this number on, less those that came again."""
        fresh: list[Found] = []
        for found in taken:
            if self.number(found) >= wanted:
                fresh.append(found)
                wanted = self.number(found) + 1
        return fresh

    async def without_gap(self, fresh: Sequence[Found], wanted: int) -> tuple[bytes, ...]:
        """These frames or, where some are missing, all that are committed from the wanted one to the last of these."""
        end = self.number(fresh[-1]) + 1
        if end - wanted == len(fresh):
            return tuple(found.value for found in fresh)
        return await Step[tuple[bytes, ...]](
            f"reads frames {wanted} to {end - 1} by itself",
            lambda world: self._committed(world, wanted, end),
            lambda world: len(self._committed(world, wanted, end)) == end - wanted,
        )

    async def acknowledge(self, taken: Sequence[Found]) -> None:
        """Tells Kafka, for whoever is handed frames next."""
        offset = taken[-1].offset + 1
        await Step("acknowledges", lambda world: world.kafka.groups.update({self.topic: offset}))

    def _join(self, world: World) -> None:
        world.handed[self.owner] = world.kafka.groups.get(self.topic, 0)

    def _next(self, world: World) -> list[Found]:
        found = world.kafka.everything(self.topic, world.handed[self.owner])
        return [one for one, _ in zip(found, range(self.most), strict=False)]

    def _take(self, world: World) -> tuple[Found, ...]:
        taken = tuple(self._next(world))
        world.handed[self.owner] = taken[-1].offset + 1
        return taken

    def _committed(self, world: World, wanted: int, end: int) -> tuple[bytes, ...]:
        fresh = Lane.fresh(self, tuple(world.kafka.committed(self.topic)), wanted)
        return tuple(found.value for found in fresh if self.number(found) < end)
