"""A lane: the frames of one partition, worked in batches beside the event loop, acknowledged in order when done.

In: Faust events of one partition. Out: their acknowledgement after the work is safe.
Never: an acknowledgement of work that is not; two batches of one partition at once; a wait of who hands frames in.

A lane that holds much asks for no more of its partition (`Flow`) until half of it is worked; what had been fetched by
then it takes all the same. So the other partitions of the worker are not held up by one that is slow or opening.

What Faust gives is a hint: `Work.open` says where the work really stands. What is below is skipped. Where Faust is
ahead (its committed offset is, or it lost frames) the work reads the partition by itself, up to where Faust is: a seek
would not do, since Faust drops what lies below the highest offset that it has handed out, and goes on handing out what
it had fetched. A lane that fails ends the process: the frames come again elsewhere. Where `halts` says so it halts
alone instead, for good and aloud, and keeps its partition, so that it does not take down one worker after the other.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from streams.poison import place_of, trace_of
from streams.worker.ending import end_process
from streams.worker.faults import told_of, traced
from streams.worker.flow import Batching, Flow, Freely
from streams.worker.standing import Standing, State
from streams.worker.work import Abandoned, Item, Work

log = logging.getLogger(__name__)

_SAID_AGAIN_S = 60.0


def _never(_: Exception) -> bool:
    return False


class Lane:
    """One partition's lane, and its thread; it opens the work at once. `lanes` counts the worker's lanes.

    `halts` tells for which exceptions of a batch the lane halts instead of ending the process.
    """

    def __init__(
        self,
        name: str,
        work: Work,
        batching: Batching,
        lanes: Callable[[], int] = lambda: 1,
        *,
        end: Callable[[], None] = end_process,
        flow: Flow | None = None,
        halts: Callable[[Exception], bool] = _never,
    ) -> None:
        self._name = name
        self._work = work
        self._batching = batching
        self._lanes = lanes
        self._end = end
        self._flow = flow or Freely()
        self._halts = halts
        self._queue: asyncio.Queue[Item] = asyncio.Queue()
        self._held = 0
        self._done: Sequence[Item] = ()
        self._wanted = 0
        self._offset = -1
        self._worked = 0
        self._opened = False
        self._halted = ""
        self._closing = False
        self._since_s = time.monotonic()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._task = asyncio.create_task(self._run(), name=name)

    def put(self, item: Item) -> None:
        """Hands in a frame. A lane that is closed takes it and does nothing."""
        if self._closing:
            return
        self._queue.put_nowait(item)
        self._held += len(item.value)
        if self._held >= self._batching.held_of(self._lanes()):
            self._flow.hold()

    def standing(self) -> Standing:
        """Where it stands; `offset` is after the last frame that was acknowledged. Called from other threads too."""
        why = self._halted or self._work.waits_for
        if self._halted:
            state = State.HALTED
        elif not self._opened:
            state = State.OPENING
        else:
            state = State.WAITING if why else State.WORKING
        return Standing(state, self._offset, self._worked + self._work.pulse, why, self._since_s)

    async def close(self) -> None:
        """Ends the lane after the batch under way, whose frames are acknowledged if it is safe then."""
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
        except BaseException as error:
            log.error("%s failed; ending this worker, its frames will be worked again\n%s", self._name, traced(error))
            self._end()

    async def _work_on(self) -> None:
        self._wanted = await self._finish(self._work.open)
        self._opened = True
        while True:
            batch = await self._batch()
            try:
                await self._finish(self._process, batch)
            except Exception as error:
                if isinstance(error, Abandoned) or not self._halts(error):
                    raise
                await self._halt(error)
            finally:
                self._acknowledge()

    async def _halt(self, error: Exception) -> None:
        """Does nothing more until it is closed, and says so again and again."""
        self._halted = place_of(error)
        log.error("%s failed\n%s", self._name, trace_of(error))
        while True:
            log.critical("%s HALTED at frame %d: %s; nothing of it is skipped", self._name, self._wanted, self._halted)
            await asyncio.sleep(_SAID_AGAIN_S)

    def _acknowledge(self) -> None:
        for item in self._done:
            item.event.ack()
            self._offset = item.offset + 1
        self._done = ()

    async def _next(self) -> Item:
        item = await self._queue.get()
        self._held -= len(item.value)
        if self._held <= self._batching.held_of(self._lanes()) // 2:
            self._flow.go()
        return item

    async def _batch(self) -> list[Item]:
        loop = asyncio.get_running_loop()
        batch = [await self._next()]
        closes = loop.time() + self._batching.wait_of(self._lanes())
        size = len(batch[0].value)
        try:
            async with asyncio.timeout_at(closes):
                while size < self._batching.max_bytes:
                    batch.append(await self._next())
                    size += len(batch[-1].value)
        except TimeoutError:
            pass
        return batch

    def _process(self, batch: Sequence[Item]) -> None:
        """In the lane's thread: what is wanted of the batch, and before it what Faust passed over."""
        fresh = _rising([(self._work.number(item), item) for item in batch], self._wanted)
        if fresh:
            self._process_fresh(fresh)
        self._done = batch

    def _process_fresh(self, fresh: Sequence[tuple[int, Item]]) -> None:
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
            self._worked += 1

    async def _finish(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """Runs work in the lane's thread; if the lane is cancelled meanwhile, waits until it is done all the same."""
        task = asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            failed = (await asyncio.gather(task, return_exceptions=True))[0]
            if isinstance(failed, Exception) and not isinstance(failed, Abandoned):
                log.warning("%s ends without its last batch: %s", self._name, told_of(failed))
            raise


def _rising(batch: Sequence[tuple[int, Item]], wanted: int) -> list[tuple[int, Item]]:
    """The items from this number on, less those that came again."""
    fresh: list[tuple[int, Item]] = []
    for number, item in batch:
        if number >= wanted:
            fresh.append((number, item))
            wanted = number + 1
    return fresh
