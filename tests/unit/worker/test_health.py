"""The watchdog over a role that we play, and what `/live` and `/ready` answer about it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from streams.journal.frame import Partition
from streams.worker.clients import BrokerUnavailable
from streams.worker.health import Health
from streams.worker.standing import Standing, State
from streams.worker.telemetry import Telemetry
from streams.worker.watchdog import Watchdog

PART = Partition("siyu.internal.journal", 3)


@dataclass
class Role:
    """A role that stands where the test puts it; its loop goes round unless it hangs."""

    parts: dict[Partition, Standing] | None = field(default_factory=lambda: {PART: Standing(State.WORKING, 5)})
    hangs: bool = False
    group: str = "group"
    turns: int = 1
    left: str = ""

    def standings(self) -> dict[Partition, Standing] | None:
        return self.parts

    def lost(self) -> str:
        return self.left

    def turned_s(self) -> float:
        self.turns += not self.hangs
        return self.turns


@dataclass
class Broker:
    """What the broker says; `away`, it does not."""

    end: int = 9
    records: bool = True
    away: bool = False

    def ends(self, parts: Iterable[Partition]) -> dict[Partition, int]:
        if self.away:
            raise BrokerUnavailable("the broker does not answer")
        return dict.fromkeys(parts, self.end)

    def committed(self, parts: Iterable[Partition]) -> dict[Partition, int]:
        return {}

    def has_record(self, part: Partition, at: int) -> bool:
        return self.records


@dataclass
class Stage:
    """A watchdog with a limit of 60 s, and a clock that the test turns by hand."""

    role: Role
    broker: Broker
    watchdog: Watchdog
    health: Health
    telemetry: Telemetry
    ended: list[str]
    now_s: float = 0.0

    def look(self, times: int = 1, every_s: float = 5.0) -> None:
        for _ in range(times):
            self.now_s += every_s
            self.watchdog.look()

    def live(self) -> tuple[int, dict[str, Any]]:
        status, text = self.health.live()
        return status, json.loads(text)

    def ready(self) -> tuple[int, dict[str, Any]]:
        status, text = self.health.ready()
        return status, json.loads(text)


@pytest.fixture
def stage() -> Stage:
    role, broker, health, telemetry, ended = Role(), Broker(), Health(), Telemetry("engine"), list[str]()
    found: list[Stage] = []

    def clock() -> float:
        return found[0].now_s if found else 0.0

    watchdog = Watchdog(role, broker, 60.0, telemetry, end=lambda: ended.append("ended"), clock=clock)
    found.append(Stage(role, broker, watchdog, health, telemetry, ended))
    health.runs(role, watchdog)
    return found[0]


def test_a_role_that_stands_still_is_told_at_half_the_limit_and_ended_at_it(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    stage.look(6)
    assert stage.live() == (200, {"live": True, "why": ""})
    stage.look()
    status, told = stage.live()
    assert status == 503
    assert "siyu.internal.journal/3 makes no progress: it stands at offset 5 for 30 s, its end is 9" in told["why"]
    stage.look(5)
    assert stage.ended == []
    stage.look()
    assert stage.ended == ["ended"]
    assert [record.message for record in caplog.records if record.message.startswith("STUCK")] == [
        "STUCK: siyu.internal.journal/3 makes no progress: it stands at offset 5 for 60 s, its end is 9; ending this "
        "worker with 70"
    ]


def test_an_end_that_is_only_marks_of_transactions_is_no_lag(stage: Stage) -> None:
    stage.broker.records = False
    stage.look(50)
    assert stage.live()[0] == 200
    assert stage.ended == []


def test_time_in_which_the_broker_was_away_is_not_counted(stage: Stage) -> None:
    stage.look(10)
    stage.broker.away = True
    stage.look(50)
    stage.broker.away = False
    stage.look(6)
    assert stage.live()[0] == 200
    assert stage.ended == []


def test_time_in_which_the_process_itself_was_paused_is_not_counted(stage: Stage) -> None:
    stage.look(2)
    stage.look(1, every_s=10_000.0)
    assert stage.ended == []


def test_a_loop_that_hangs_is_ended_too(stage: Stage) -> None:
    stage.role.hangs = True
    stage.broker.end = 5
    stage.look(13)
    assert stage.ended == ["ended"]


def test_a_watchdog_that_does_not_look_itself_is_told(stage: Stage) -> None:
    stage.look()
    stage.now_s += 61
    status, told = stage.live()
    assert (status, told["why"]) == (503, "nobody has looked for 61 s")


def test_how_long_it_stands_still_is_a_metric_and_so_is_what_it_does(stage: Stage) -> None:
    stage.look(3)
    text = stage.telemetry.text()
    assert 'siyu_stalled_seconds{partition="3",stage="engine",topic="siyu.internal.journal"} 10.0' in text
    assert 'siyu_partitions{stage="engine",state="working"} 1.0' in text
    stage.role.parts = {}
    stage.look()
    assert 'siyu_stalled_seconds{partition="3"' not in stage.telemetry.text()


def test_a_role_is_ready_when_it_works_on_all_that_it_owns_and_knows_its_lag(stage: Stage) -> None:
    status, told = stage.ready()
    assert status == 503
    assert told["partitions"]["siyu.internal.journal/3"]["why"] == "its lag is not known yet"
    stage.look()
    status, told = stage.ready()
    assert status == 200
    assert told["partitions"]["siyu.internal.journal/3"] == {"ready": True, "state": "working", "lag": 4, "why": ""}


@pytest.mark.parametrize(
    ("standing", "why"),
    [
        (Standing(State.OPENING), "it is opened and restored since"),
        (Standing(State.OPENING, why="ClickHouse: no connection"), "ClickHouse: no connection"),
        (Standing(State.HALTED, 5, why="ValueError in sinks.batches.cut"), "ValueError in sinks.batches.cut"),
    ],
)
def test_one_partition_that_it_does_not_work_on_is_told_with_the_reason(
    stage: Stage, standing: Standing, why: str
) -> None:
    other = PART._replace(partition=4)
    stage.role.parts = {PART: Standing(State.WORKING, 5), other: standing}
    stage.look()
    status, told = stage.ready()
    assert (status, told["ready"]) == (503, False)
    assert told["partitions"]["siyu.internal.journal/3"]["ready"]
    assert told["partitions"]["siyu.internal.journal/4"]["why"].startswith(why)


def test_who_waits_for_something_outside_stays_ready_and_says_so(stage: Stage) -> None:
    stage.role.parts = {PART: Standing(State.WAITING, 5, why="ClickHouse: no connection")}
    stage.look(50)
    assert stage.live()[0] == 200
    status, told = stage.ready()
    assert status == 200
    assert told["partitions"]["siyu.internal.journal/3"]["why"] == "ClickHouse: no connection"


def test_who_was_not_told_its_partitions_is_not_ready_and_who_has_none_is(stage: Stage) -> None:
    stage.role.parts = None
    assert stage.ready() == (503, {"ready": False, "why": "it waits to be told its partitions"})
    stage.role.parts = {}
    assert stage.ready() == (200, {"ready": True, "partitions": {}})


def test_before_the_role_runs_it_is_alive_and_says_what_it_waits_for() -> None:
    health = Health()
    health.starting = "it waits: broker: no broker answers"
    assert health.live()[0] == 200
    assert json.loads(health.ready()[1])["why"] == "it waits: broker: no broker answers"


@pytest.mark.enable_socket
def test_the_pages_stand_beside_the_metrics(stage: Stage) -> None:
    port = stage.telemetry.serve(pages=stage.health.pages())
    try:
        with urlopen(f"http://127.0.0.1:{port}/live") as answer:
            assert json.loads(answer.read()) == {"live": True, "why": ""}
        with pytest.raises(HTTPError) as refused:
            urlopen(f"http://127.0.0.1:{port}/ready")
        assert refused.value.code == 503
        assert b"its lag is not known yet" in refused.value.read()
        with urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
            assert b"siyu_worker_info" in answer.read()
    finally:
        stage.telemetry.stop()


def test_a_role_that_is_out_of_its_group_for_good_is_ended_at_once_also_without_a_broker(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    stage.broker.away, stage.role.left = True, "no node"
    stage.look()
    assert stage.ended == ["ended"]
    assert "STUCK: it is out of its group for good: no node; ending this worker with 70" in caplog.messages
