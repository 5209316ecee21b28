"""The lanes of a worker: which are open, and what becomes of frames that are none of its business."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from streams.journal.frame import Partition
from streams.worker.app import Frames, Lanes
from streams.worker.flow import Batching
from tests.unit.worker.lanes import Event, FakeWork, Log, acked, done, free, run

AT_ONCE = Batching(wait_s=0.0, max_bytes=1)


def _told(story: Callable[[Lanes, list[FakeWork], Log], Coroutine[Any, Any, None]]) -> tuple[Log, list[FakeWork]]:
    log, made = Log(), list[FakeWork]()

    def work(partition: int) -> FakeWork:
        made.append(free(log, wanted=len(done(log))))
        return made[-1]

    async def whole() -> None:
        lanes = Lanes("test", Frames("frames", work, AT_ONCE))
        await story(lanes, made, log)
        await lanes.end()

    run(whole())
    return log, made


def test_a_lane_opens_when_its_partition_is_assigned_before_any_frame_comes() -> None:
    async def story(lanes: Lanes, made: list[FakeWork], log: Log) -> None:
        lanes.open({4})
        await log.until("open")

    assert len(_told(story)[1]) == 1


def test_a_frame_of_a_partition_that_is_not_ours_is_left_to_its_owner() -> None:
    async def story(lanes: Lanes, made: list[FakeWork], log: Log) -> None:
        lanes.open({1})
        await lanes.close({1})
        lanes.put(Event(7, log, partition=1))

    log, made = _told(story)
    assert len(made) == 1
    assert done(log) == acked(log) == []


def test_no_lane_opens_while_the_worker_ends() -> None:
    async def story(lanes: Lanes, made: list[FakeWork], log: Log) -> None:
        await lanes.end()
        lanes.open({0})
        lanes.put(Event(0, log))

    assert _told(story)[1] == []


def test_a_partition_that_comes_back_is_opened_anew() -> None:
    async def story(lanes: Lanes, made: list[FakeWork], log: Log) -> None:
        lanes.open({0})
        lanes.put(Event(0, log))
        await log.until(("ack", 0))
        await lanes.close({0})
        lanes.open({0})
        lanes.put(Event(1, log))
        await log.until(("ack", 1))

    log, made = _told(story)
    assert len(made) == 2
    assert done(log) == [0, 1]


def test_lanes_close_together_so_that_one_that_is_slow_costs_its_time_once() -> None:
    async def story(lanes: Lanes, made: list[FakeWork], log: Log) -> None:
        lanes.open({0, 1})
        for work in made:
            work.gate.clear()
        for partition in (0, 1):
            lanes.put(Event(0, log, partition))
        while log.said.count(("begin", [0])) < 2:
            await asyncio.sleep(0.001)
        made[0].stop = made[1].gate.set  # type: ignore[method-assign]  # each ends when the other was asked to
        made[1].stop = made[0].gate.set  # type: ignore[method-assign]
        await lanes.close({0, 1})

    assert _told(story)[0].said.count("close") == 2


def test_a_lane_that_is_full_does_not_hold_up_the_others() -> None:
    async def story(lanes: Lanes, made: list[FakeWork], log: Log) -> None:
        lanes.open({0, 1})
        made[0].gate.clear()
        for offset in range(500):
            lanes.put(Event(offset, log, 0, value=b"x" * (1 << 20)))
        lanes.put(Event(0, log, 1))
        await log.until(("ack", 0))
        made[0].gate.set()

    _told(story)


def test_nobody_knows_where_it_stands_before_it_is_told_what_it_owns() -> None:
    async def story(lanes: Lanes, made: list[FakeWork], log: Log) -> None:
        seen = [lanes.standings()]
        lanes.open(set())
        seen.append(lanes.standings())
        lanes.open({2})
        seen.append(lanes.standings())
        await lanes.let_go({2})
        seen.append(lanes.standings())
        assert seen[0] is seen[3] is None
        assert seen[1] == {}
        assert list(seen[2] or ()) == [Partition("frames", 2)]

    _told(story)
