"""A lane: what it works, what it acknowledges, how it ends."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from streams.worker.flow import Batching
from streams.worker.lane import Lane
from streams.worker.standing import State
from streams.worker.work import Item
from tests.unit.worker.lanes import Event, FakeFlow, FakeWork, Log, acked, done, free, run

AT_ONCE = Batching(wait_s=0.0, max_bytes=1)
ENDED = "process ended"


def _lane(work: FakeWork, batching: Batching = AT_ONCE) -> Lane:
    return Lane("test/0", work, batching, end=lambda: work.log.note(ENDED))


def _put(lane: Lane, log: Log, *offsets: int) -> None:
    for offset in offsets:
        lane.put(Item(offset, b"frame", Event(offset, log)))


async def _worked(work: FakeWork, *offsets: int, batching: Batching = AT_ONCE) -> Log:
    """What became of these frames, the last of which is acknowledged."""
    lane = _lane(work, batching)
    _put(lane, work.log, *offsets)
    await work.log.until(("ack", offsets[-1]))
    await lane.close()
    return work.log


def test_frames_are_worked_and_acknowledged_in_their_order() -> None:
    log = run(_worked(free(Log(), wanted=3), 3, 4, 5))
    assert done(log) == acked(log) == [3, 4, 5]


def test_offsets_may_have_gaps_where_numbers_have_none() -> None:
    log = run(_worked(free(Log(), spread=10), 0, 10, 20))
    assert done(log) == acked(log) == [0, 10, 20]
    assert ("done", [10]) in log.said


def test_frames_below_what_is_wanted_are_acknowledged_and_not_worked() -> None:
    log = run(_worked(free(Log(), wanted=5), 3, 4, 5, 6))
    assert done(log) == [5, 6]
    assert acked(log) == [3, 4, 5, 6]


@pytest.mark.parametrize("batching", [AT_ONCE, Batching(wait_s=0.05, max_bytes=1 << 20)])
def test_frames_that_were_passed_over_are_read_by_the_work_itself(batching: Batching) -> None:
    log = run(_worked(free(Log(), wanted=2), 5, 6, 9, batching=batching))
    assert done(log) == [2, 3, 4, 5, 6, 7, 8, 9]
    assert acked(log) == [5, 6, 9]


def test_frames_that_come_again_are_acknowledged_and_not_worked_again() -> None:
    log = run(_worked(free(Log(), wanted=0), 0, 1, 2, 0, 1, 2, 3))
    assert done(log) == [0, 1, 2, 3]


def test_frames_that_come_together_are_one_batch() -> None:
    log = run(_worked(free(Log(), wanted=0), 0, 1, 2, batching=Batching(wait_s=0.5, max_bytes=15)))
    assert ("done", [0, 1, 2]) in log.said


def test_no_frame_is_acknowledged_before_its_batch_is_safe() -> None:
    async def story() -> None:
        work = FakeWork(Log())
        lane = _lane(work)
        _put(lane, work.log, 0)
        await work.log.until(("begin", [0]))
        assert acked(work.log) == []
        work.gate.set()
        await work.log.until(("ack", 0))
        await lane.close()

    run(story())


@pytest.mark.parametrize("wrong", ["open", "process"])
def test_a_failure_ends_the_process_and_acknowledges_nothing(wrong: str) -> None:
    async def story() -> Log:
        log = Log()
        lane = _lane(free(log, wrong=wrong))
        _put(lane, log, 0, 1)
        await log.until(ENDED)
        return log

    assert acked(run(story())) == []


def test_a_failure_is_logged_with_its_place_and_without_what_it_quotes(caplog: pytest.LogCaptureFixture) -> None:
    quoted = "13800000001 wants tea"

    async def story() -> None:
        work = free(Log())
        work.process = lambda items: int(quoted)  # type: ignore[assignment, method-assign]
        _put(_lane(work), work.log, 0)
        await work.log.until(ENDED)

    run(story())
    (failed,) = [record.getMessage() for record in caplog.records if "test/0 failed" in record.getMessage()]
    assert "ValueError in " in failed
    assert quoted not in failed


def test_a_failure_to_close_ends_the_process_since_nobody_else_could_open() -> None:
    async def story() -> Log:
        log = Log()
        lane = _lane(free(log, wrong="close"))
        await log.until("open")
        await lane.close()
        return log

    assert ENDED in run(story()).said


def test_a_lane_that_closes_waits_for_the_batch_under_way_and_closes_its_work() -> None:
    async def story() -> Log:
        work = FakeWork(Log())
        lane = _lane(work)
        _put(lane, work.log, 0, 1)
        await work.log.until(("begin", [0]))
        closing = asyncio.create_task(lane.close())
        await work.log.until("stop")
        assert "close" not in work.log.said
        work.gate.set()
        await closing
        return work.log

    log = run(story())
    assert done(log) == [0]
    assert log.said[-1] == "close"


def test_a_batch_that_is_safe_when_the_lane_closes_is_acknowledged() -> None:
    async def story() -> Log:
        work = FakeWork(Log())
        lane = _lane(work)
        _put(lane, work.log, 0, 1)
        await work.log.until(("begin", [0]))
        closing = asyncio.create_task(lane.close())
        await work.log.until("stop")
        work.gate.set()
        await closing
        assert lane.standing().offset == 1
        return work.log

    assert acked(run(story())) == [0]


def test_a_batch_that_fails_while_the_lane_closes_is_not_acknowledged() -> None:
    async def story() -> Log:
        work = FakeWork(Log())
        lane = _lane(work)
        _put(lane, work.log, 0, 1)
        await work.log.until(("begin", [0]))
        work.wrong = "process"
        closing = asyncio.create_task(lane.close())
        await work.log.until("stop")
        work.gate.set()
        await closing
        return work.log

    assert acked(run(story())) == []


def test_a_lane_that_holds_much_stops_the_flow_and_takes_what_still_comes() -> None:
    async def story() -> Log:
        work = FakeWork(Log())
        lane = Lane("test/0", work, Batching(0.0, 1, held_bytes=20), flow=FakeFlow(work.log))
        await work.log.until("open")
        _put(lane, work.log, *range(9))
        assert "hold" in work.log.said
        work.log.said.clear()
        work.gate.set()
        await work.log.until(("ack", 8))
        await lane.close()
        return work.log

    log = run(story())
    assert done(log) == list(range(9))
    assert log.said.index("go") > log.said.index(("ack", 5))


def test_the_lanes_of_a_worker_share_what_they_may_hold() -> None:
    async def story() -> list[Any]:
        work = FakeWork(Log(), waits_in_open=True)
        lane = Lane("test/0", work, Batching(0.0, 1, held_bytes=40), lambda: 4, flow=FakeFlow(work.log))
        await work.log.until("open")
        _put(lane, work.log, 0)
        before = list(work.log.said)
        _put(lane, work.log, 1)
        await lane.close()
        assert "hold" not in before
        return work.log.said

    assert "hold" in run(story())


def test_a_lane_tells_where_it_stands() -> None:
    async def story() -> list[tuple[State, int, str]]:
        work = FakeWork(Log(), waits_in_open=True)
        opening = _lane(work)
        await work.log.until("open")
        seen = [opening.standing()]
        await opening.close()
        work = FakeWork(Log(), wanted=7)
        lane = _lane(work)
        _put(lane, work.log, 7)
        await work.log.until(("begin", [7]))
        seen.append(lane.standing())
        work.waits_for = "ClickHouse"
        seen.append(lane.standing())
        work.waits_for = ""
        work.gate.set()
        await work.log.until(("ack", 7))
        seen.append(lane.standing())
        await lane.close()
        return [(one.state, one.offset, one.why) for one in seen]

    assert run(story()) == [
        (State.OPENING, -1, ""),
        (State.WORKING, -1, ""),
        (State.WAITING, -1, "ClickHouse"),
        (State.WORKING, 8, ""),
    ]


def test_a_lane_that_reads_much_by_itself_is_seen_to_get_on() -> None:
    async def story() -> list[int]:
        work = free(Log(), wanted=0)
        lane = _lane(work)
        _put(lane, work.log, 5)
        await work.log.until(("ack", 5))
        seen = [lane.standing().pulse]
        await lane.close()
        return seen

    assert run(story()) == [6]


def test_a_lane_that_may_halt_does_so_alone_and_acknowledges_nothing() -> None:
    async def story() -> Log:
        log = Log()
        lane = Lane("test/0", free(log, wrong="process"), AT_ONCE, end=lambda: log.note(ENDED), halts=lambda _: True)
        _put(lane, log, 0, 1)
        while lane.standing().state is not State.HALTED:
            await asyncio.sleep(0.001)
        assert lane.standing().why.startswith("RuntimeError in streams.worker.lane._process_fresh")
        _put(lane, log, 2)
        await lane.close()
        return log

    log = run(story())
    assert ENDED not in log.said
    assert acked(log) == []
    assert log.said[-1] == "close"


def test_work_that_is_opening_is_asked_to_stop_and_is_closed() -> None:
    async def story() -> Any:
        work = FakeWork(Log(), waits_in_open=True)
        lane = _lane(work)
        await work.log.until("open")
        await lane.close()
        return work.log.said

    assert run(story()) == ["open", "stop", "close"]


def test_a_closed_lane_takes_frames_and_does_nothing() -> None:
    async def story() -> Log:
        work = free(Log())
        lane = _lane(work)
        await work.log.until("open")
        await lane.close()
        _put(lane, work.log, 0, 1, 2)
        return work.log

    assert done(run(story())) == []
