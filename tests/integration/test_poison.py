"""Poison in real workers on Apache Kafka: what raises is set aside or stops loudly, and the others go on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from schemas.codec import encode
from sinks.urls import open_sink
from streams.journal.frame import REFUSAL, decode_frame
from streams.topics import JOURNAL, RESOLVED
from streams.worker.clients import read
from streams.worker.ending import EXIT_FAULT
from streams.worker.servers import Server, apache_kafka, clickhouse_server
from tests.integration.life import REGISTRY, Place, place, send, value_of
from tests.integration.patience import until
from tests.support.planted import bad_events


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with apache_kafka(tmp_path_factory.mktemp("poison")) as server:
        yield server


def test_an_event_at_which_the_engine_raises_is_a_dead_letter_and_the_shard_goes_on(
    broker: Server, tmp_path: Path
) -> None:
    with place(broker, tmp_path) as here:
        here.write(0, 40)
        engine = here.start("engine", "bad_event", "s0-17")
        until(here.is_folded, "all frames are folded")
        here.write(0, 10)
        until(here.is_folded, "the later frames are folded too")
        assert value_of(engine, "siyu_dead_letters_total", reason="internal_fault") == 1
        assert value_of(engine, "siyu_faults_total") == 3
        (letter,) = here.letters()
        with bad_events(lambda id_: id_ == "s0-17"):
            replayed = here.expected()
            here.assert_once()
    assert replayed[0][17].counts["isolated"] == 1
    assert (letter["stage"], letter["reason"], letter["offset"]) == ("engine", "internal_fault", 17)
    assert json.loads(letter["raw"])["event_id"] == "s0-17"
    log = engine.log.read_text()
    assert "Planted in streams.engine._take_event" in log
    assert "138000000" not in log + letter["detail"]


def test_a_release_that_raises_at_everything_ends_before_much_is_set_aside(broker: Server, tmp_path: Path) -> None:
    with place(broker, tmp_path, most_faults=3) as here:
        here.write(0, 3)
        engine = here.start("engine", "bad_event", "s0-")
        until(here.is_folded, "the first frames are folded")
        here.write(0, 5)
        assert here.gone("engine").process.wait(60) == EXIT_FAULT
        assert "raise worker.most_faults" in engine.log.read_text()
        assert len(here.letters()) == 3
        here.start("engine")
        until(here.is_folded, "a mended release folds the rest")
        assert len(here.letters()) == 3


def _event(id_: str) -> bytes:
    event = {"event_id": id_, "tenant": "t1", "event_type": "page_view", "event_time": 1_700_000_000_000}
    return encode(
        "behaviour_event", {**event, "touchpoint": "app", "identities": []}, REGISTRY.id_of("behaviour_event")
    )


def _journaled(here: Place) -> list[str]:
    frames = (decode_frame(record.value) for record in read(here.settings, JOURNAL, {0: 0}))
    return [id_ for frame in frames for id_ in frame.events["event_id"].to_pylist()]


def _refused(here: Place) -> list[Any]:
    """What ingest refused, as the journal carries it to the engine."""
    starts = dict.fromkeys(range(here.settings.kafka.shards), 0)
    frames = (decode_frame(record.value) for record in read(here.settings, JOURNAL, starts))
    return [entry.record for frame in frames for entry in frame.entries if entry.kind == REFUSAL]


def test_a_record_at_which_ingest_raises_is_a_dead_letter_and_its_source_goes_on(
    broker: Server, tmp_path: Path
) -> None:
    with place(broker, tmp_path) as here:
        ingest = here.start("ingest", "bad_record", "e7")
        send(here, [_event(f"e{at}") for at in range(20)])
        until(lambda: len(_journaled(here)) == 19, "the others are journaled")
        assert _journaled(here) == [f"e{at}" for at in range(20) if at != 7]
        (letter,) = _refused(here)
        assert (letter["stage"], letter["reason"], letter["offset"]) == ("ingest", "internal_fault", 7)
        assert letter["raw"] == _event("e7")
        assert value_of(ingest, "siyu_faults_total") == 1
        ingest.check()


def test_a_source_that_is_mostly_refused_stops_ingest_until_an_operator_lets_it_pass(
    broker: Server, tmp_path: Path
) -> None:
    with place(broker, tmp_path) as here:
        send(here, [b"junk"] * 300)
        stopped = here.start("ingest")
        assert here.gone("ingest").process.wait(60) == EXIT_FAULT
        assert "let them pass with ingest.fuse_off" in stopped.log.read_text()
        let = here.settings.ingest.model_copy(update={"fuse_off": ("events.raw.app",)})
        ingest = here.start("ingest1", ingest=let)
        send(here, [_event("good")])
        until(lambda: _journaled(here) == ["good"], "what comes after the junk is journaled")
        ingest.check()
        assert "the fuse of events.raw.app is off" in ingest.log.read_text()
        assert {letter["offset"] for letter in _refused(here)} == set(range(300))


def _stored(here: Place) -> dict[int, list[str]]:
    sink = open_sink(here.settings.sink_url)
    asked = "SELECT shard, event_id FROM siyu.events ORDER BY shard, journal_offset"
    try:
        found: dict[int, list[str]] = {}
        for shard, id_ in sink.query(asked).rows:
            found.setdefault(int(shard), []).append(str(id_))
        return found
    finally:
        sink.close()


def test_a_block_at_which_the_sink_raises_stops_its_shard_alone_and_nothing_is_skipped(
    broker: Server, tmp_path: Path
) -> None:
    with (
        clickhouse_server(tmp_path / "clickhouse") as database,
        place(broker, tmp_path, shards=2, sink=f"clickhouse://default@{database.address}/", stuck_after_s=8) as here,
    ):
        here.start("engine")
        sink = here.start("sink", "bad_block", "0:5")
        here.write(1, 10)
        here.write(0, 10)
        until(here.is_folded, "all frames are folded")
        until(lambda: value_of(sink, "siyu_partitions", state="halted") == 1, "the shard is halted")
        here.write(1, 10)
        until(lambda: len(_stored(here).get(1, ())) == 20, "the other shard goes on")
        assert len(_stored(here).get(0, ())) < 10
        status, text = sink.page("/ready")
        told = json.loads(text)["partitions"]
        assert status == 503
        assert told[f"{RESOLVED}/0"]["why"].startswith("Planted in streams.worker.facts")
        assert told[f"{RESOLVED}/1"]["ready"]
        assert sink.page("/live")[0] == 200
        assert "siyu-sink/0 HALTED" in sink.log.read_text()
        here.gone("sink").process.terminate()
        assert sink.process.wait(60) == 0
        here.start("sink1")
        until(lambda: len(_stored(here).get(0, ())) >= 10, "a mended release stores the rest")
        assert _stored(here) == {0: [f"s0-{at}" for at in range(10)], 1: [f"s1-{at}" for at in range(20)]}
