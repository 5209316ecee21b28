"""The sink's work on a shard: it waits out a place that takes nothing, says why, and doesn't talk too much."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from pathlib import Path

import pytest

from schemas.frames import Resolved, encode_resolved
from sinks.memory import MemorySink
from sinks.sink import SinkUnavailable, Why
from streams.settings import Settings
from streams.worker import facts
from streams.worker.facts import Waiting, WriteFacts
from streams.worker.telemetry import Telemetry
from streams.worker.work import Item
from tests.unit.sinks.interrupted import How, Interrupted
from tests.unit.sinks.resolved import frames

GIVEN = frames(6, 3, gap=1)


def available(telemetry: Telemetry) -> list[str]:
    return [line for line in telemetry.text().splitlines() if line.startswith("siyu_sink_available{")]


def told(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """What the sink's work logged: clients of other tests, whose broker has ended, may log at any time."""
    return [record for record in caplog.records if record.name == facts.__name__]


def items(given: Iterable[Resolved]) -> list[Item]:
    return [Item(frame.journal_offset, encode_resolved(frame), None) for frame in given]


class Recovering(Interrupted):
    """A sink that fails so many calls from a certain one on, for a reason."""

    def __init__(self, inner: MemorySink, call: int, times: int) -> None:
        super().__init__(inner, call, How.HALF)
        self.left = times

    def unfinished(self, label: str) -> int:
        if self.died and self.left:
            self.left -= 1
            raise SinkUnavailable("no space", Why.FULL)
        self.died = False
        return super().unfinished(label)


def test_a_sink_that_was_away_is_caught_up_with(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    memory, telemetry = MemorySink(), Telemetry("sink")
    sink = Recovering(memory, 20, times=5)
    work = WriteFacts(0, Settings(data=tmp_path), sink, threading.Lock(), telemetry, pause_s=0.0)
    assert work.open() == 0
    assert available(telemetry) == ['siyu_sink_available{reason="",shard="0"} 1.0']
    with caplog.at_level(logging.WARNING):
        for frame in GIVEN:
            work.process(items([frame]))
    assert sorted(row["event_id"] for row in memory.rows("events")) == sorted(
        f"e{frame}-{row}" for frame in range(6) for row in range(3)
    )
    assert available(telemetry) == ['siyu_sink_available{reason="",shard="0"} 1.0']
    assert 'siyu_sink_retries_total{reason="full"} 5.0' in telemetry.text()
    assert [record.getMessage().partition(":")[0] for record in told(caplog)] == [
        "shard 0 waits for the sink (away, try 1 after 0 s)",
        "shard 0 waits for the sink (full, try 2 after 0 s)",
        "shard 0",
    ]


def test_writing_much_at_once_is_seen_to_get_on(tmp_path: Path) -> None:
    work = WriteFacts(0, Settings(data=tmp_path), MemorySink(), threading.Lock(), Telemetry("sink"))
    work.open()
    before = work.pulse
    for frame in GIVEN:
        work.process(items([frame]))
    assert work.pulse == before + len(GIVEN)


def test_a_wait_is_seen_with_its_reason_and_told_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    telemetry, now = Telemetry("sink"), [1000.0]
    waiting = Waiting(3, telemetry, lambda: now[0])
    for second in range(150):
        now[0] = 1000.0 + second
        waiting.on(SinkUnavailable("no space left", Why.FULL))
    assert available(telemetry) == ['siyu_sink_available{reason="full",shard="3"} 0.0']
    waiting.on(SinkUnavailable("nobody there"))
    assert available(telemetry) == ['siyu_sink_available{reason="away",shard="3"} 0.0']
    waiting.over()
    assert available(telemetry) == ['siyu_sink_available{reason="",shard="3"} 1.0']
    assert [record.getMessage() for record in told(caplog)] == [
        "shard 3 waits for the sink (full, try 1 after 0 s): no space left",
        "shard 3 waits for the sink (full, try 61 after 60 s): no space left",
        "shard 3 waits for the sink (full, try 121 after 120 s): no space left",
        "shard 3 waits for the sink (away, try 151 after 149 s): nobody there",
        "shard 3: the sink is back, after 149 s and 151 tries",
    ]


def test_what_one_shard_waits_for_says_nothing_of_another() -> None:
    telemetry = Telemetry("sink")
    Waiting(0, telemetry).on(SinkUnavailable("full", Why.FULL))
    Waiting(1, telemetry).over()
    assert sorted(available(telemetry)) == [
        'siyu_sink_available{reason="",shard="1"} 1.0',
        'siyu_sink_available{reason="full",shard="0"} 0.0',
    ]
