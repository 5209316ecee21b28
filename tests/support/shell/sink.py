"""The sink's protocol, step by step: the real `sinks.writer.BlockWriter` in a lane, each call to its sink a step.

In: resolved frames, those of aborted transactions among them. Out: facts. Never: a frame acknowledged before it stands.

The writer is plain code that calls a sink. It is run again and again from where it was, with the answers so far; the
first call that has none yet is the next step.
"""

from __future__ import annotations

import pickle
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from inspect import signature
from types import SimpleNamespace
from typing import Any, ClassVar, NamedTuple

import pyarrow as pa
import pytest

from schemas.frames import decode_resolved
from sinks.batches import BlockSize
from sinks.ledger import TABLE
from sinks.memory import MemorySink
from sinks.sink import SinkUnavailable, Where
from sinks.writer import AnotherWriter, BlockWriter
from streams.topics import RESOLVED
from tests.support.shell.broker import Found
from tests.support.shell.lane import Lane
from tests.support.shell.steps import Died, Step, forget_runs
from tests.support.shell.world import World

SIZE = BlockSize(rows=2)
AWAY = SinkUnavailable("no answer")
GUARDED = "guard" in signature(MemorySink.insert).parameters
"""Whether inserts look who owns the shard: until they do, a shard bears one living writer at a time."""


@dataclass(frozen=True)
class Sink(Lane):
    """An owner of the shard's facts; its memory is its writer, as bytes."""

    topic: str = RESOLVED

    def number(self, found: Found) -> int:
        """The journal's offset: each journal frame has its resolved frame, some of them again after an abort."""
        return _journal_offset(found.value)

    async def open(self) -> tuple[bytes, int]:
        """Claims the shard in the ledger and settles the block in doubt."""
        life = await Step[int]("begins a life", lambda world: world.facts.count(TABLE, {}))
        return await self.work(_new_writer(f"{self.owner}, from entry {life} on"), None)

    async def process(self, state: bytes, frames: tuple[bytes, ...], wanted: int) -> bytes:
        """Writes them as blocks."""
        return (await self.work(state, frames))[0]

    async def work(self, memory: bytes, frames: tuple[bytes, ...] | None) -> tuple[bytes, int]:
        """The writer after this work, tried until the sink answers, and its position."""
        told: tuple[Any, ...] = ()
        while True:
            came = _work(memory, frames, told)
            if isinstance(came, Step):
                told = (*told, await _answer(came))
            elif came.position is None:
                memory, told = came.memory, ()
            else:
                return came.memory, came.position


@lru_cache(maxsize=1 << 12)
def _journal_offset(frame: bytes) -> int:
    return decode_resolved(frame).journal_offset


async def _answer(step: Step[Any]) -> Any:
    try:
        return await step
    except SinkUnavailable as away:
        return away


class _Worked(NamedTuple):
    """The writer after its work, and where it is; no position where the sink did not answer."""

    memory: bytes
    position: int | None


@lru_cache(maxsize=1 << 14)
def _work(memory: bytes, frames: tuple[bytes, ...] | None, told: tuple[Any, ...]) -> Step[Any] | _Worked:
    """What comes of the writer's work with these answers: its next call, or its end."""
    writer: BlockWriter = pickle.loads(memory)
    _Answers.told = iter(told)
    position = None
    try:
        if frames is not None:
            writer.write(map(decode_resolved, frames))
        position = writer.position()
    except _Asked as asked:
        return asked.step
    except AnotherWriter as another:
        raise Died from another
    except SinkUnavailable:
        pass
    return _Worked(pickle.dumps(writer), position)


def forget() -> None:
    """From now on a writer does what its code says now."""
    _work.cache_clear()
    forget_runs()


class _Asked(BaseException):
    """The writer made a call that has no answer yet."""

    def __init__(self, step: Step[Any]) -> None:
        self.step = step


class _Answers:
    """`Sink` that gives the answers that were told, one after the other."""

    told: ClassVar[Iterator[Any]] = iter(())

    def insert(self, table: str, batch: pa.RecordBatch, *how: Any, **named: Any) -> None:
        """One step; without a guard, half of the rows may stand of it."""

        def do(world: World) -> None:
            world.facts.insert(table, batch, *how, **named)

        def half(world: World) -> None:
            world.facts.insert(table, batch.slice(0, batch.num_rows // 2))

        is_guarded = len(how) > 1 or "guard" in named
        self._answer(f"inserts into {table}", do, None if is_guarded else half)

    def count(self, table: str, where: Where) -> int:
        return int(self._answer(f"counts in {table}", lambda world: world.facts.count(table, where)))

    def last(self, table: str, by: str, where: Where) -> dict[str, Any] | None:
        def do(world: World) -> Any:
            row = world.facts.last(table, by, where)
            return row and tuple(row.items())

        return dict(row) if (row := self._answer(f"looks for the last row of {table}", do)) else None

    def tally(self, table: str, column: str, where: Where) -> dict[Any, int]:
        found = self._answer(f"tallies {table}", lambda world: tuple(world.facts.tally(table, column, where).items()))
        return dict(found)

    def remove(self, table: str, where: Where) -> None:
        self._answer(f"removes from {table}", lambda world: world.facts.remove(table, where))

    def unfinished(self, label: str) -> int:
        """A statement is one step: none runs on by itself."""
        return 0

    def close(self) -> None:
        """The sink lives on."""

    def _answer(self, does: str, do: Callable[[World], Any], torn: Callable[[World], None] | None = None) -> Any:
        for answer in _Answers.told:
            if isinstance(answer, Exception):
                raise answer
            return answer
        raise _Asked(Step(does, do, torn=torn, unheard=AWAY))


def _new_writer(owner: str) -> bytes:
    """A writer that signs with this name, so that two of them in one state are equal."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(uuid, "uuid4", lambda: SimpleNamespace(hex=owner))
        return pickle.dumps(BlockWriter(_Answers(), 0, size=SIZE, now_ms=_never))


def _never() -> int:
    return 0
