"""A lane: the frames of one partition, worked in batches beside the event loop, acknowledged in order when done.

In: Faust events of one partition, in offset order. Out: their acknowledgement after the work is safe.
Never: an acknowledgement of work that is not; two batches of one partition at once.

Faust's committed offset is a hint: `Work.open` says where the work really stands, and the lane skips what is below
and asks for a seek where Faust is ahead. A lane that fails ends the process: the frames come again elsewhere.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

log = logging.getLogger(__name__)

EXIT_FAULT = 70


class Abandoned(Exception):
    """The batch was given up because the lane is to end: its frames are not acknowledged."""


class Item(NamedTuple):
    """One frame as it came: its offset in the partition, its bytes, and the Faust event to acknowledge."""

    offset: int
    value: bytes
    event: Any


class Work(Protocol):
    """What a lane does with its frames. Called from one thread at a time; may block."""

    def open(self) -> int | None:
        """Gets ready; the offset of the first frame that is wanted, None to take what comes."""

    def process(self, items: Sequence[Item]) -> None:
        """Works a batch; when it returns, the batch is safe. An exception ends the process."""

    def stop(self) -> None:
        """Asks a batch under way to end soon, done or by raising `Abandoned`. Called from another thread."""

    def close(self) -> None:
        """Lets the next owner in. Whatever was not processed is not lost: it was not acknowledged."""


@dataclass(frozen=True, slots=True)
class Batching:
    """A batch closes `wait_s` after its first frame, or when it has `max_bytes`.

    A worker with many lanes waits longer, `lane_s` for each: commits cost by their number (docs/decisions/0002).
    """

    wait_s: float
    max_bytes: int
    queue: int = 64
    lane_s: float = 0.0

    def wait_of(self, lanes: int) -> float:
        """Seconds that a batch stays open on a worker with so many lanes."""
        return max(self.wait_s, lanes * self.lane_s)


class Lane:
    """One partition's lane. `seek` moves the consumer to an offset of the partition, `lanes` counts the worker's."""

    def __init__(
        self,
        name: str,
        work: Work,
        batching: Batching,
        seek: Callable[[int], Awaitable[None]],
        lanes: Callable[[], int] = lambda: 1,
    ) -> None:
        self._name = name
        self._work = work
        self._batching = batching
        self._seek = seek
        self._lanes = lanes
        self._queue: asyncio.Queue[Item] = asyncio.Queue(batching.queue)
        self._wanted: int | None = None
        self._dropped = -1
        self._task = asyncio.create_task(self._run(), name=name)

    async def put(self, item: Item) -> None:
        """Hands in a frame; waits while the lane is full."""
        await self._queue.put(item)

    async def close(self) -> None:
        """Ends the lane after the batch under way."""
        self._work.stop()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        try:
            self._wanted = await _finish(self._work.open)
            while True:
                batch = await self._batch()
                if batch:
                    await _finish(self._work.process, batch)
                    for item in batch:
                        item.event.ack()
        except (asyncio.CancelledError, Abandoned):
            await asyncio.to_thread(self._work.close)
        except BaseException:
            log.exception("%s failed; ending this worker, its frames will be worked again", self._name)
            logging.shutdown()
            os._exit(EXIT_FAULT)

    async def _batch(self) -> list[Item]:
        loop = asyncio.get_running_loop()
        batch = await self._wanted_of(await self._queue.get())
        closes = loop.time() + self._batching.wait_of(self._lanes())
        size = sum(len(item.value) for item in batch)
        while size < self._batching.max_bytes and loop.time() < closes:
            try:
                item = await asyncio.wait_for(self._queue.get(), closes - loop.time())
            except TimeoutError:
                break
            batch += await self._wanted_of(item)
            size += len(item.value)
        return batch

    async def _wanted_of(self, item: Item) -> list[Item]:
        wanted = self._wanted
        if wanted is None or item.offset == wanted:
            self._wanted = None if wanted is None else item.offset + 1
            self._dropped = -1
            return [item]
        if item.offset < wanted:
            item.event.ack()
            return []
        await self._go_back(item, wanted)
        return []

    async def _go_back(self, item: Item, wanted: int) -> None:
        if self._dropped >= 0 and item.offset <= self._dropped:
            raise LookupError(f"{self._name}: offset {wanted} is wanted, but its topic begins at {item.offset} now")
        if self._dropped < 0:
            await self._seek(wanted)
        self._dropped = item.offset


async def _finish(work: Callable[..., Any], *arguments: Any) -> Any:
    """Runs work in a thread; if the lane is cancelled meanwhile, waits until the work is done all the same."""
    task = asyncio.ensure_future(asyncio.to_thread(work, *arguments))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.gather(task, return_exceptions=True)
        raise
