"""Fakes for lanes: events that remember their acknowledgement, and work that can be held, failed and watched.

In: offsets. Out: what the work was asked to do, in order. Never: Faust, Kafka, a sleep.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, TypeVar

from streams.worker.work import Abandoned, Item

T = TypeVar("T")
HANGS_AFTER_S = 20.0


def run(story: Coroutine[Any, Any, T]) -> T:
    """Runs a test's coroutine; one that hangs fails instead."""
    return asyncio.run(asyncio.wait_for(story, HANGS_AFTER_S))


class Log:
    """What happened, in order; `until` waits for something."""

    def __init__(self) -> None:
        self.said: list[Any] = []

    def note(self, what: Any) -> None:
        self.said.append(what)

    async def until(self, what: Any) -> None:
        while what not in self.said:
            await asyncio.sleep(0.001)


@dataclass
class Event:
    """A Faust event of one frame."""

    offset: int
    log: Log
    partition: int = 0
    value: bytes = b"frame"

    @property
    def message(self) -> Any:
        return SimpleNamespace(offset=self.offset, value=self.value, partition=self.partition)

    def ack(self) -> None:
        self.log.note(("ack", self.offset))


@dataclass
class FakeWork:
    """Notes what it is asked; while `gate` is not set, `process` waits; `wrong` is raised by the method it names."""

    log: Log
    wanted: int = 0
    gate: threading.Event = field(default_factory=threading.Event)
    wrong: str = ""
    waits_in_open: bool = False
    spread: int = 1
    waits_for: str = ""
    pulse: int = 0
    stopping: threading.Event = field(default_factory=threading.Event)

    def open(self) -> int:
        self._do("open")
        if self.waits_in_open:
            self.stopping.wait(HANGS_AFTER_S)
            raise Abandoned
        return self.wanted

    def process(self, items: Sequence[Item]) -> None:
        offsets = [item.offset for item in items]
        self.log.note(("begin", offsets))
        self.gate.wait(HANGS_AFTER_S)
        self._do("process")
        self.log.note(("done", offsets))

    def number(self, item: Item) -> int:
        return item.offset // self.spread

    def missed(self, wanted: int, last: Item) -> Iterator[Sequence[Item]]:
        for number in range(wanted, self.number(last) + 1):
            yield [Item(number * self.spread, b"own", None)]

    def stop(self) -> None:
        self.log.note("stop")
        self.stopping.set()

    def close(self) -> None:
        self._do("close")

    def _do(self, what: str) -> None:
        if what == self.wrong:
            raise RuntimeError(what)
        self.log.note(what)


@dataclass
class FakeFlow:
    """Notes what it is asked."""

    log: Log

    def hold(self) -> None:
        self.log.note("hold")

    def go(self) -> None:
        self.log.note("go")


def free(log: Log, wanted: int = 0, **more: Any) -> FakeWork:
    """Work that never waits."""
    work = FakeWork(log, wanted, **more)
    work.gate.set()
    return work


def done(log: Log) -> list[int]:
    """The offsets that were worked, in order."""
    return [offset for what in log.said if what[0] == "done" for offset in what[1]]


def acked(log: Log) -> list[int]:
    """The offsets that were acknowledged, in order."""
    return [what[1] for what in log.said if what[0] == "ack"]
