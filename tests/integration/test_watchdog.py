"""Workers that hang end themselves and say where; workers that wait for others do not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from schemas.codec import encode
from sinks.urls import open_sink
from streams.topics import JOURNAL
from streams.worker.ending import EXIT_FAULT
from streams.worker.servers import Server, apache_kafka, clickhouse_server
from tests.integration.life import APP, REGISTRY, Place, place, send, value_of
from tests.integration.patience import until

STUCK_AFTER_S = 6


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with apache_kafka(tmp_path_factory.mktemp("watchdog")) as server:
        yield server


def _why(here: Place, name: str) -> str:
    """What the worker says that it ended of."""
    worker = here.gone(name)
    assert worker.process.wait(90) == EXIT_FAULT
    (said,) = [line for line in worker.log.read_text().splitlines() if "STUCK" in line]
    return said


@pytest.mark.parametrize("fault", ["fold_hangs", "consumer_is_silent"])
def test_an_engine_that_does_not_get_on_ends_itself_and_the_next_goes_on(
    broker: Server, tmp_path: Path, fault: str
) -> None:
    with place(broker, tmp_path, shards=2, stuck_after_s=STUCK_AFTER_S) as here:
        here.write(1, 5)
        here.write(0, 5)
        here.start("engine", fault, "1:5")
        until(here.is_folded, "the first frames are folded")
        here.write(1, 5)
        here.write(0, 5)
        assert f"{JOURNAL}/1 makes no progress: it stands at offset 5 for " in (said := _why(here, "engine"))
        assert "its end is 10; ending this worker with 70" in said
        here.start("engine1")
        until(here.is_folded, "the next worker folds the rest")
        here.assert_once()


def test_an_engine_whose_event_loop_hangs_ends_itself(broker: Server, tmp_path: Path) -> None:
    with place(broker, tmp_path, stuck_after_s=STUCK_AFTER_S) as here:
        here.start("engine", "loop_hangs", "0:3")
        here.write(0, 5)
        said = _why(here, "engine")
        assert "its loop has not gone round" in said or f"{JOURNAL}/0 makes no progress" in said


def test_a_worker_that_is_out_of_its_group_for_good_does_not_wait_to_be_told_so(broker: Server, tmp_path: Path) -> None:
    with place(broker, tmp_path, stuck_after_s=600) as here:
        here.start("engine", "out_of_its_group", "no node")
        assert "it is out of its group for good: KafkaError: Unexpected error during coordination" in _why(
            here, "engine"
        )


def test_liveness_fails_before_the_worker_ends_itself(broker: Server, tmp_path: Path) -> None:
    with place(broker, tmp_path, stuck_after_s=24) as here:
        here.write(0, 5)
        engine = here.start("engine", "fold_hangs", "0:5")
        until(lambda: engine.page("/ready")[0] == 200, "it is ready")
        assert json.loads(engine.page("/live")[1]) == {"live": True, "why": ""}
        until(here.is_folded, "the first frames are folded")
        here.write(0, 5)
        until(lambda: engine.page("/live")[0] == 503, "it is told to be stuck")
        assert f"{JOURNAL}/0 makes no progress: it stands at offset 5" in json.loads(engine.page("/live")[1])["why"]
        engine.check()


def test_an_ingest_worker_that_hangs_ends_itself_and_the_next_journals_what_it_left(
    broker: Server, tmp_path: Path
) -> None:
    event: dict[str, object] = {
        "event_id": "e1",
        "tenant": "t1",
        "event_type": "page_view",
        "event_time": 1_700_000_000_000,
    }
    event |= {"touchpoint": "app", "identities": []}
    value = encode("behaviour_event", event, REGISTRY.id_of("behaviour_event"))
    with place(broker, tmp_path, stuck_after_s=STUCK_AFTER_S) as here:
        here.start("ingest", "ingest_hangs", "e1")
        send(here, [value])
        said = _why(here, "ingest")
        assert f"{APP}/0 makes no progress" in said or "its loop has not gone round" in said
        ingest = here.start("ingest1")
        until(lambda: value_of(ingest, "siyu_events_total", outcome="accepted") == 1, "the event is journaled")


def _stored(here: Place) -> int:
    sink = open_sink(here.settings.sink_url)
    try:
        return int(sink.query("SELECT count() FROM siyu.events").rows[0][0])
    finally:
        sink.close()


def test_a_sink_that_hangs_ends_itself_and_one_whose_database_is_away_waits(broker: Server, tmp_path: Path) -> None:
    with (
        clickhouse_server(tmp_path / "clickhouse") as database,
        place(broker, tmp_path, sink=f"clickhouse://default@{database.address}/", stuck_after_s=STUCK_AFTER_S) as here,
    ):
        here.start("engine")
        here.start("sink", "write_hangs", "0:5")
        here.write(0, 10)
        assert "siyu.internal.resolved/0 makes no progress" in _why(here, "sink")
        sink = here.start("sink1")
        until(lambda: _stored(here) == 10, "the next worker stores them")
        database.kill()
        here.write(0, 10)
        retries = 2 * STUCK_AFTER_S + 2
        until(lambda: value_of(sink, "siyu_sink_retries_total") >= retries, "it has waited longer than a stuck one may")
        assert sink.page("/live")[0] == 200
        status, text = sink.page("/ready")
        assert (status, json.loads(text)["partitions"]["siyu.internal.resolved/0"]["state"]) == (200, "waiting")
        database.start()
        until(lambda: _stored(here) == 20, "it catches up")
        sink.check()


def test_a_broker_that_is_away_is_waited_for(broker: Server, tmp_path: Path) -> None:
    """Back in its group, a worker under load may take seconds until it commits again."""
    with place(broker, tmp_path, stuck_after_s=2 * STUCK_AFTER_S) as here:
        here.write(0, 5)
        engine = here.start("engine")
        until(here.is_folded, "the frames are folded")
        broker.pause()
        try:
            until(lambda: engine.log.read_text().count("the watchdog can't look") >= 2, "it has asked in vain, twice")
        finally:
            broker.resume()
        until(lambda: _goes_on(here), "it goes on")
        here.assert_once()


def _goes_on(here: Place) -> bool:
    """Whether it folds a frame more. A journal never rests: ingest tells it of idle sources (docs/decisions/0004)."""
    here.write(0, 1)
    try:
        until(here.is_folded, "the newest frame is folded", within_s=3)
    except AssertionError:
        return False
    return True


def test_a_worker_with_nothing_to_do_is_not_stuck(broker: Server, tmp_path: Path) -> None:
    """The mark that ends a transaction stands behind the last frame: an end that nobody ever reaches."""
    with place(broker, tmp_path, stuck_after_s=STUCK_AFTER_S) as here:
        here.write(0, 5)
        workers = [here.start(name) for name in ("engine", "engine1", "sink")]
        until(here.is_folded, "the frames are folded")
        until(lambda: all(worker.page("/ready")[0] == 200 for worker in workers), "all are ready")
        for _ in range(2):
            until(lambda: value_of(workers[2], "siyu_stalled_seconds") > 0, "the sink seems to stand still")
            until(lambda: value_of(workers[2], "siyu_stalled_seconds") == 0, "the sink is acquitted")
        for worker in workers:
            worker.check()
