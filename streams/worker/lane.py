"""A lane: the frames of one partition, worked in batches beside the event loop, acknowledged in order when done.

In: Faust events of one partition. Out: their acknowledgement after the work is safe.
Never: an acknowledgement of work that is not; two batches of one partition at once; a wait on a lane that is closed.

What Faust gives is a hint: `Work.open` says where the work really stands. What is below is skipped. Where Faust is
ahead (its committed offset is, or it lost frames) the work reads the partition by itself, up to where Faust is: a seek
would not do, since Faust drops what lies below the highest offset that it has handed out, and goes on handing out what
it had fetched. A lane that fails ends the process: the frames come again elsewhere.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

log = logging.getLogger(__name__)

EXIT_FAULT = 70


class Abandoned(Exception):
    """The batch was given up because the lane is to end: its frames are not acknowledged."""


class Item(NamedTuple):
    """One frame as it came: its offset in the partition, its bytes, and the Faust event to acknowledge, if any."""

    offset: int
    value: bytes
    event: Any


class Work(Protocol):
    """What a lane does with its frames. Called from one thread, `stop` excepted; may block."""

    def open(self) -> int:
        """Gets ready; the number of the first frame that is wanted."""

    def number(self, item: Item) -> int:
        """The frame's number: they have no gaps, though offsets may."""

    def process(self, items: Sequence[Item]) -> None:
        """Works a batch; when it returns, the batch is safe. An exception ends the process."""

    def missed(self, wanted: int, last: Item) -> Iterator[Sequence[Item]]:
        """Batches of all frames from number `wanted` to `last`, read by ourselves."""

    def stop(self) -> None:
        """Asks what is under way to end soon, done or by raising `Abandoned`. Called from another thread."""

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


def end_process() -> None:
    """Ends this process at once, the log written: no other lane or service gets to acknowledge anything."""
    logging.shutdown()
    os._exit(EXIT_FAULT)


class Lane:
    """One partition's lane, and its thread; it opens the work at once. `lanes` counts the worker's lanes."""

    def __init__(
        self,
        name: str,
        work: Work,
        batching: Batching,
        lanes: Callable[[], int] = lambda: 1,
        end: Callable[[], None] = end_process,
    ) -> None:
        self._name = name
        self._work = work
        self._batching = batching
        self._lanes = lanes
        self._end = end
        self._queue: asyncio.Queue[Item] = asyncio.Queue(batching.queue)
        self._wanted = 0
        self.offset = -1
        """The topic's offset after the last frame that was acknowledged; -1 before the first."""
        self._closing = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._task = asyncio.create_task(self._run(), name=name)

    async def put(self, item: Item) -> None:
        """Hands in a frame; waits while the lane is full. A lane that is closed takes it and does nothing."""
        if not self._closing:
            await self._queue.put(item)

    async def close(self) -> None:
        """Ends the lane after the batch under way, and lets go whoever waits in `put`."""
        self._closing = True
        self._work.stop()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._thread.shutdown(wait=False)
        while not self._queue.empty():
            self._queue.get_nowait()

    async def _run(self) -> None:
        try:
            try:
                await self._work_on()
            except (asyncio.CancelledError, Abandoned):
                await self._finish(self._work.close)
        except BaseException:
            log.exception("%s failed; ending this worker, its frames will be worked again", self._name)
            self._end()

    async def _work_on(self) -> None:
        self._wanted = await self._finish(self._work.open)
        while True:
            batch = await self._batch()
            await self._finish(self._process, batch)
            for item in batch:
                item.event.ack()
            self.offset = batch[-1].offset + 1

    async def _batch(self) -> list[Item]:
        loop = asyncio.get_running_loop()
        batch = [await self._queue.get()]
        closes = loop.time() + self._batching.wait_of(self._lanes())
        size = len(batch[0].value)
        try:
            async with asyncio.timeout_at(closes):
                while size < self._batching.max_bytes:
                    batch.append(await self._queue.get())
                    size += len(batch[-1].value)
        except TimeoutError:
            pass
        return batch

    def _process(self, batch: Sequence[Item]) -> None:
        """In the lane's thread: what is wanted of the batch, and before it what Faust passed over."""
        fresh = _rising([(self._work.number(item), item) for item in batch], self._wanted)
        if not fresh:
            return
        end = fresh[-1][0] + 1
        if end - self._wanted == len(fresh):
            self._work.process([item for _, item in fresh])
        else:
            self._read_up_to(*fresh[-1])
        self._wanted = end

    def _read_up_to(self, number: int, last: Item) -> None:
        log.info("%s reads frames %d to %d by itself: some were passed over", self._name, self._wanted, number)
        for items in self._work.missed(self._wanted, last):
            self._work.process(items)

    async def _finish(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """Runs work in the lane's thread; if the lane is cancelled meanwhile, waits until it is done all the same."""
        task = asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            failed = (await asyncio.gather(task, return_exceptions=True))[0]
            if isinstance(failed, Exception) and not isinstance(failed, Abandoned):
                log.warning("%s ends without its last batch: %s", self._name, failed)
            raise


def _rising(batch: Sequence[tuple[int, Item]], wanted: int) -> list[tuple[int, Item]]:
    """The items from this number on, less those that came again."""
    fresh: list[tuple[int, Item]] = []
    for number, item in batch:
        if number >= wanted:
            fresh.append((number, item))
            wanted = number + 1
    return fresh
