"""Workers that are killed, paused and moved under load, on Apache Kafka: what comes out is as if nothing had happened.

The measure is the journal that the run left behind, folded once undisturbed. Not the traffic's truth: at this
pace an outage of seconds is a day of the simulated time, and a coupon a day late is rightly not sent.
"""

from __future__ import annotations

import os
import random
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

import msgpack
import pytest
from confluent_kafka import Consumer, TopicPartition
from pydantic import SecretStr

from bench.player import Played, Player, with_entry_heartbeats
from bench.traffic import Traffic, TrafficSpec, plan
from schemas.codec import encode
from schemas.columns import TABLES
from schemas.frames import encode_resolved
from schemas.registry import LocalRegistry
from sinks.urls import open_sink
from streams.backtest import Shards
from streams.engine import EngineConfig, Outputs
from streams.journal.clock import ALL, Clock
from streams.journal.frame import decode_frame
from streams.journal.tables import Change, Tables
from streams.settings import Engine, Ingest, Kafka, Settings, Sink
from streams.topics import (
    CHANGELOG,
    CHANGES,
    COUPON,
    DECISIONS,
    JOURNAL,
    RESOLVED,
    REVOKED,
)
from streams.worker import stack
from streams.worker.clients import Record, consumer_config, producer_config, read
from streams.worker.servers import Server, apache_kafka, clickhouse_server
from streams.worker.servers.process import free_ports
from streams.worker.state.restore import restore
from streams.worker.state.store import MemoryStore, Position
from tests.integration.patience import until

RULES = Path("deploy/rules")
SALT = b"a salt of the tests"
REGISTRY = LocalRegistry()
PUBLIC = (COUPON, REVOKED, DECISIONS, CHANGES)
SHARDS = 3
ALL_SHARDS = dict.fromkeys(range(SHARDS), 0)
FOREVER = {"log.retention.ms": -1}  # else simulated times are too old for the raw topics, and Kafka removes them
PROGRESS = "siyu_progress_timestamp_seconds"


@dataclass
class Crew:
    """The workers of a run by name, and what is done to them. Each place (data folder) is a host of its own."""

    settings: Settings
    logs: Path
    at: dict[str, stack.Worker] = field(default_factory=dict)
    killed: list[str] = field(default_factory=list)

    def start(self, name: str, host: str = "") -> None:
        role = name.rstrip("0123456789")
        own = self.settings.model_copy(update={"data": self.settings.data / (host or name)})
        (port,) = free_ports(1)
        self.at[name] = stack.start_worker(own, role, port, self.logs / f"{name}.log")

    def kill(self, name: str) -> None:
        """kill -9; the process is gone when it returns."""
        self.at[name].process.kill()
        self.at[name].process.wait()
        self.killed.append(name)

    def signal(self, name: str, number: int) -> None:
        os.kill(self.at[name].process.pid, number)

    def shards_of(self, name: str) -> set[str]:
        """The shards whose progress this worker tells."""
        return {dict(labels)["shard"] for metric, labels in self.at[name].metrics() if metric == PROGRESS}

    def end(self) -> dict[str, int]:
        """SIGTERM to all; their exit codes."""
        for worker in self.at.values():
            worker.process.send_signal(signal.SIGTERM)
        return {name: worker.process.wait(30) for name, worker in self.at.items()}

    def abort(self) -> None:
        for worker in self.at.values():
            worker.process.kill()
            worker.process.wait()


def _kill(name: str, host: str = "") -> Callable[[Crew], None]:
    def act(crew: Crew) -> None:
        crew.kill(name)
        crew.start(name, host)

    return act


def _pause(crew: Crew) -> None:
    crew.signal("engine1", signal.SIGSTOP)


def _resume(crew: Crew) -> None:
    """The other worker has taken all shards over: what the paused one wakes up to is not its own any more."""
    until(lambda: len(crew.shards_of("engine2")) == SHARDS, "engine2 owns all shards")
    crew.signal("engine1", signal.SIGCONT)


DISTURBANCES: tuple[Callable[[Crew], None], ...] = (
    _kill("engine1"),
    _kill("ingest1"),
    _kill("engine2", host="another host"),
    _kill("engine1"),
    _pause,
    _kill("ingest2"),
    _resume,
)


Folded = tuple[int, int, Outputs]
Rows = dict[tuple[int, int], int]
"""Numbers of rows by shard and journal offset."""


@dataclass(frozen=True)
class Run:
    """A run that has settled: its workers, the log that it left behind, and that log's journal folded."""

    settings: Settings
    topics: dict[str, list[Record]]
    crew: Crew
    shards: Shards
    outputs: list[Folded]


def _settings(folder: Path, broker: Server, sink: Server, tenants: tuple[str, ...]) -> Settings:
    return Settings(
        data=folder,
        tenants=tenants,
        salt=SecretStr(SALT.decode()),
        kafka=Kafka(bootstrap=broker.address, timestamps="create", raw_partitions=2, shards=SHARDS),
        ingest=Ingest(idle_progress=False, patience_ms=60_000),
        engine=Engine(commit_ms=20),
        sink=Sink(url=f"clickhouse://default@{sink.address}/", block_ms=200),
    )


def _disturbed(crew: Crew, traffic: Traffic) -> Played:
    """Plays the traffic; each disturbance happens at a random moment of it."""
    records = list(with_entry_heartbeats(traffic))
    moments = iter(sorted(random.Random(11).sample(range(1000, len(records) - 2000), len(DISTURBANCES))))
    due = iter(DISTURBANCES)
    upcoming = [next(moments)]

    def told(played: Played) -> None:
        _revive(crew)
        while upcoming and played.records >= upcoming[0]:
            next(due)(crew)
            upcoming[:] = [moment] if (moment := next(moments, None)) is not None else []

    return Player(producer_config(crew.settings.kafka), REGISTRY, len(records) / 20).play(records, told)


def _revive(crew: Crew) -> None:
    """A fenced worker ends by itself: whoever supervises it starts it again."""
    for name, worker in list(crew.at.items()):
        if worker.process.poll() is not None:
            crew.killed.append(f"{name} ended itself")
            crew.start(name)


def _restored(settings: Settings, shard: int) -> tuple[Tables, Position]:
    consumer = Consumer(consumer_config(settings.kafka, "another-host", enable_partition_eof=True))
    return restore(MemoryStore(), consumer, TopicPartition(CHANGELOG, shard), Event())


def _is_folded(crew: Crew, until_ms: int) -> bool:
    """Whether all that was received until then is folded and committed, on every shard."""
    _revive(crew)
    return all(Clock(_restored(crew.settings, shard)[0]).of(ALL) >= until_ms for shard in range(SHARDS))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    folder = tmp_path_factory.mktemp("durable")
    traffic = plan(TrafficSpec(people=250, days=2.0))
    with apache_kafka(folder / "kafka", settings=FOREVER) as broker, clickhouse_server(folder / "clickhouse") as sink:
        crew = Crew(_settings(folder / "data", broker, sink, traffic.spec.tenants), folder)
        try:
            for name in ("ingest1", "ingest2", "engine1", "engine2", "sink1"):
                crew.start(name)
            ids = stack.prepare(crew.settings, sorted(RULES.glob("unpaid-*.yaml")), traffic.spec.start_ms - 60_000)
            stack.await_controls(crew.settings, ids, list(crew.at.values()))
            played = _disturbed(crew, traffic)
            until(lambda: _is_folded(crew, played.last_ms), "all that was played is folded")
            topics = {name: list(read(crew.settings, name, ALL_SHARDS)) for name in (*PUBLIC, JOURNAL, RESOLVED)}
            shards, outputs = _folded(topics[JOURNAL])
            expected = {table: _rows_of(table, outputs) for table in TABLES}
            with suppress(AssertionError):
                until(lambda: _stored(crew.settings) == expected, "the facts are stored", 20.0)
            yield Run(crew.settings, topics, crew, shards, outputs)
        finally:
            crew.abort()


def _folded(journal: list[Record]) -> tuple[Shards, list[Folded]]:
    """The journal of the run, folded once."""
    shards = Shards(EngineConfig(SALT))
    return shards, [(r.partition, r.offset, shards.step(r.partition, r.offset, decode_frame(r.value))) for r in journal]


def _rows_of(table: str, outputs: list[Folded]) -> Rows:
    batches = {(shard, offset): found.resolved.tables.get(table) for shard, offset, found in outputs}
    return {of: batch.num_rows for of, batch in batches.items() if batch is not None and batch.num_rows}


def _stored(settings: Settings) -> dict[str, Rows]:
    """Rows of the sink by table, shard and journal offset."""
    sink = open_sink(settings.sink_url)
    asked = "SELECT shard, journal_offset, count() FROM siyu.{} GROUP BY shard, journal_offset"
    try:
        rows = {table: sink.query(asked.format(table)).rows for table in TABLES}
    finally:
        sink.close()
    return {table: {(int(shard), int(at)): int(n) for shard, at, n in found} for table, found in rows.items()}


def test_the_workers_were_killed_and_paused(run: Run) -> None:
    assert {"engine1", "engine2", "ingest1", "ingest2"} <= set(run.crew.killed)


@pytest.mark.parametrize("topic", PUBLIC)
def test_a_public_topic_holds_each_record_once_and_no_other(run: Run, topic: str) -> None:
    folded = Counter(
        (key.encode(), encode(subject, record, REGISTRY.id_of(subject)))
        for _, _, outputs in run.outputs
        for to, key, subject, record in outputs.public
        if to == topic
    )
    assert folded == Counter((record.key, record.value) for record in run.topics[topic])


def test_each_journal_frame_has_one_resolved_frame_in_order(run: Run) -> None:
    folded = sorted((shard, offset, encode_resolved(outputs.resolved)) for shard, offset, outputs in run.outputs)
    assert [value for _, _, value in folded] == [record.value for record in sorted(run.topics[RESOLVED])]


@pytest.mark.parametrize("table", TABLES)
def test_the_sink_holds_the_rows_of_each_journal_frame_once(run: Run, table: str) -> None:
    assert _stored(run.settings)[table] == _rows_of(table, run.outputs)


def test_the_state_restored_on_another_host_is_the_state_of_the_fold(run: Run) -> None:
    for shard, engine in run.shards.engines.items():
        tables, position = _restored(run.settings, shard)
        assert position.journal == sum(record.partition == shard for record in run.topics[JOURNAL])
        assert list(tables.rows()) == [_kept(change) for change in engine.tables.rows()]


def _kept(change: Change) -> Change:
    return Change(*msgpack.unpackb(msgpack.packb(tuple(change)), use_list=False))


def test_every_worker_ends_in_order_when_it_is_told_to(run: Run) -> None:
    assert set(run.crew.end().values()) == {0}
