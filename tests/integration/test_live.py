"""The main job on Apache Kafka and ClickHouse with several workers, against the truth and against the pure fold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from bench.traffic import Traffic, TrafficSpec, plan, write_jsonl
from bench.verdict import Node, judge_persons, judge_triggers
from schemas.codec import decode_one, encode
from schemas.frames import encode_resolved
from schemas.masking import keyed_hash
from schemas.registry import LocalRegistry
from sinks.urls import open_sink
from streams.backtest import Shards
from streams.cli.flow import Flow
from streams.cli.recorded import Recording
from streams.cli.screen import Screen
from streams.engine import EngineConfig, Outputs
from streams.journal.frame import decode_frame
from streams.settings import Engine, Ingest, Kafka, Settings, Sink
from streams.topics import CHANGES, COUPON, DECISIONS, JOURNAL, RESOLVED, REVOKED
from streams.worker import stack
from streams.worker.clients import Record, read
from streams.worker.servers import Server, apache_kafka, clickhouse_server

RULES = Path("deploy/rules")
SALT = b"a salt of the tests"
REGISTRY = LocalRegistry()
PUBLIC = (COUPON, REVOKED, DECISIONS, CHANGES)
RECORDS_A_SECOND = 1_200
"""So that one ingest worker is never hours of simulated time ahead of the other: delivery's now is the furthest."""
ROLES = ("ingest", "ingest", "engine", "engine", "sink")


@dataclass(frozen=True)
class Live:
    """A run that is over: its traffic, and the log that it left behind."""

    settings: Settings
    traffic: Traffic
    topics: dict[str, list[Record]]


def _settings(folder: Path, broker: Server, sink: Server, tenants: tuple[str, ...]) -> Settings:
    return Settings(
        data=folder,
        tenants=tenants,
        salt=SecretStr(SALT.decode()),
        kafka=Kafka(bootstrap=broker.address, timestamps="create", raw_partitions=2, shards=3),
        ingest=Ingest(idle_progress=False, patience_ms=60_000),
        engine=Engine(commit_ms=50),
        sink=Sink(url=f"clickhouse://default@{sink.address}/"),
    )


@pytest.fixture(scope="module")
def live(kafka: Server, clickhouse: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """Two ingest and two engine workers and a sink, on servers of their own: the shared ones show that they can run."""
    folder = tmp_path_factory.mktemp("live")
    traffic = plan(TrafficSpec(people=300, days=2.0))
    with apache_kafka(folder / "kafka") as broker, clickhouse_server(folder / "clickhouse") as sink:
        settings = _settings(folder, broker, sink, traffic.spec.tenants)
        with stack.workers(settings, ROLES, folder / "logs") as running:
            ids = stack.prepare(settings, sorted(RULES.glob("unpaid-*.yaml")), traffic.spec.start_ms - 60_000)
            stack.await_controls(settings, ids, running)
            flow = Flow(settings, running, Screen(quiet=True))
            flow.play(traffic, RECORDS_A_SECOND)
        starts = dict.fromkeys(range(settings.kafka.shards), 0)
        topics = {name: list(read(settings, name, starts)) for name in (*PUBLIC, JOURNAL, RESOLVED)}
        yield Live(settings, traffic, topics)


def _folded(live: Live) -> list[tuple[int, int, Outputs]]:
    shards = Shards(EngineConfig(SALT))
    journal = live.topics[JOURNAL]
    return [(r.partition, r.offset, shards.step(r.partition, r.offset, decode_frame(r.value))) for r in journal]


def _records(live: Live, topic: str) -> list[dict[str, Any]]:
    return [decode_one(record.value, REGISTRY) for record in live.topics[topic]]


def test_no_trigger_is_missing_extra_or_double(live: Live) -> None:
    verdict = judge_triggers(_records(live, COUPON), _records(live, REVOKED), live.traffic.truth)
    assert verdict.due == verdict.fired > 50
    assert verdict.right, verdict


def test_the_recorded_journal_folded_again_gives_the_same_bytes(live: Live) -> None:
    folded = _folded(live)
    for topic in PUBLIC:
        again = Counter(
            (key.encode(), encode(subject, record, REGISTRY.id_of(subject)))
            for _, _, outputs in folded
            for to, key, subject, record in outputs.public
            if to == topic
        )
        assert again == Counter((record.key, record.value) for record in live.topics[topic]), topic
    resolved = sorted((shard, offset, encode_resolved(outputs.resolved)) for shard, offset, outputs in folded)
    assert [value for _, _, value in resolved] == [record.value for record in sorted(live.topics[RESOLVED])]


def test_the_same_traffic_from_json_lines_gives_the_same_triggers_and_persons(live: Live, tmp_path: Path) -> None:
    lines = tmp_path / "traffic.jsonl"
    write_jsonl(live.traffic, lines)
    recording = Recording([lines], live.settings, (), 30)
    rules = {path.stem: path.read_text() for path in RULES.glob("unpaid-*.yaml")}
    outputs = [found for _, found in recording.fold(rules, lambda letter: None)]
    fired = {record["trigger_id"] for found in outputs for to, _, _, record in found.public if to == COUPON}
    assert fired == {record["trigger_id"] for record in _records(live, COUPON)}
    assert _person_sets(outputs) == _person_sets([outputs for _, _, outputs in _folded(live)])


def _person_sets(outputs: list[Outputs]) -> set[frozenset[str]]:
    """Without shared devices: they go to the last login that arrived, and two workers do not arrive in step."""
    person: dict[str, str] = {}
    for found in outputs:
        batch = found.resolved.tables.get("identity_map")
        for row in batch.to_pylist() if batch is not None else ():
            if row["kind"] not in ("device_id", "cookie"):
                person[row["node"]] = row["one_id"]
    sets: dict[str, set[str]] = {}
    for node, one_id in person.items():
        sets.setdefault(one_id, set()).add(node)
    return {frozenset(nodes) for nodes in sets.values()}


def test_clickhouse_holds_every_accepted_event_once_and_the_same_roll_up(live: Live) -> None:
    truth = live.traffic.truth
    sink = open_sink(live.settings.sink_url)
    try:
        assert sink.query("SELECT count(), uniqExact(tenant, event_id) FROM siyu.events").rows == (
            (truth.accepted, truth.accepted),
        )
        rolled = "SELECT sum(events) FROM siyu.touchpoint_minute"
        assert sink.query(rolled).rows == ((truth.accepted,),)
        assert sink.query("SELECT count() FROM siyu.triggers").rows == ((len(truth.fires),),)
    finally:
        sink.close()


def test_persons_hold_all_that_sharing_proves_and_no_stranger(live: Live) -> None:
    sink = open_sink(live.settings.sink_url)
    try:
        stored = dict(sink.query("SELECT node, one_id FROM siyu.identity_now").rows)
    finally:
        sink.close()
    truth = live.traffic.truth
    known = {(tenant, *i) for tenant, groups in truth.persons.items() for ids in groups for i in ids}
    persons = judge_persons({node: stored[_hashed(node)] for node in known}, truth)
    assert (persons.precision, persons.recall_of_evidence) == (1.0, 1.0)
    assert persons.sharing_precision < 1.0


def _hashed(node: Node) -> str:
    return keyed_hash("\x1f".join(node), SALT)
