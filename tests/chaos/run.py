"""One chaos run: the stack on Apache Kafka and ClickHouse, traffic whose truth is known, operators, and a hunt.

In: a spec. Out: the strikes and the aftermath. Never: a server or a worker left behind.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka import Consumer, TopicPartition
from pydantic import SecretStr

from bench.player import Player, with_entry_heartbeats
from bench.traffic import Sent, Traffic, TrafficSpec, plan
from schemas.frames import decode_resolved
from schemas.registry import LocalRegistry
from sinks import ledger
from sinks.erasing import ERASED
from sinks.sink import SinkUnavailable
from sinks.urls import open_sink
from streams.settings import Engine, Ingest, Kafka, Settings, Sink
from streams.topics import JOURNAL, RESOLVED, raw_topics
from streams.worker import stack
from streams.worker.clients import consumer_config, producer_config, read
from streams.worker.control import first_offsets
from streams.worker.reader import GROUP
from streams.worker.servers import Server, apache_kafka, clickhouse_server
from tests.chaos.aftermath import Aftermath
from tests.chaos.bystanders import Bystanders
from tests.chaos.crew import Crew, crew
from tests.chaos.hunt import Hunt

RULES = Path("deploy/rules")
SHARDS = 3
FOREVER = {"log.retention.ms": -1}  # else simulated times are too old for the raw topics, and Kafka removes them
_SPARED = 0.94
_POLL_S = 1.0
_PATIENCE_MS = 600_000  # the player is not what is hunted: a broker that comes back late must not end it


class NotSettled(Exception):
    """The pipeline did not get to the end of the traffic in time; the message says what was missing."""


@dataclass(frozen=True)
class Spec:
    """`seconds`: how long the traffic takes to be played."""

    traffic: TrafficSpec
    seconds: float
    seed: int
    pace_s: float = 2.0
    settles_within_s: float = 180.0


@dataclass(frozen=True)
class Chaos:
    """A run that is over and has settled."""

    traffic: Traffic
    crew: Crew
    hunt: Hunt
    aftermath: Aftermath
    seconds: float


@contextmanager
def chaos(spec: Spec, folder: Path) -> Iterator[Chaos]:
    """Plays, hunts and waits until all is settled; the servers run until the block ends."""
    traffic = plan(spec.traffic)
    with (
        apache_kafka(folder / "kafka", settings=FOREVER) as broker,
        clickhouse_server(folder / "clickhouse") as database,
    ):
        settings = settings_of(folder, broker, database, traffic.spec.tenants)
        ids = stack.prepare(settings, sorted(RULES.glob("*.yaml")), traffic.spec.start_ms - 60_000)
        with crew(settings, folder, {"kafka": broker, "clickhouse": database}) as workers:
            stack.await_controls(settings, ids, list(workers.at.values()))
            began = time.monotonic()
            bystanders = Bystanders(traffic, spec.seed)
            records = list(bystanders.among(with_entry_heartbeats(traffic)))
            hunt = _hunted(spec, workers, records, folder / "charges")
            _settle(spec, hunt, settings)
            aftermath = Aftermath(settings, folder, bystanders.failed)
            yield Chaos(traffic, workers, hunt, aftermath, time.monotonic() - began)


def settings_of(folder: Path, broker: Server, database: Server, tenants: tuple[str, ...]) -> Settings:
    """Simulated time, short batches."""
    return Settings(
        data=folder / "data",
        tenants=tenants,
        salt=SecretStr("a salt of the tests"),
        kafka=Kafka(bootstrap=broker.address, timestamps="create", raw_partitions=2, shards=SHARDS),
        ingest=Ingest(idle_progress=False, patience_ms=60_000),
        engine=Engine(commit_ms=20),
        sink=Sink(url=f"clickhouse://default@{database.address}/", block_ms=200),
    )


def _hunted(spec: Spec, workers: Crew, records: Sequence[Sent], charges: Path) -> Hunt:
    """Plays the records in a thread of its own; the last of them flow when the hunt is over."""
    patient = producer_config(workers.settings.kafka, delivery_timeout_ms=_PATIENCE_MS)
    player = Player(patient, LocalRegistry(), len(records) / spec.seconds)
    playing = threading.Thread(target=player.play, args=(records,), daemon=True)
    played = player.played
    hunt = Hunt(
        workers,
        spec.seed,
        played=lambda: played.last_ms,
        over=lambda: played.records > _SPARED * len(records) or not playing.is_alive(),
        charges=charges,
        pace_s=spec.pace_s,
    )
    playing.start()
    hunt.run()
    while playing.is_alive():
        hunt.tend(arming=False)
        playing.join(_POLL_S)
    if played.records != len(records):
        raise NotSettled(f"only {played.records} of {len(records)} records were played")
    return hunt


def _settle(spec: Spec, hunt: Hunt, settings: Settings) -> None:
    gives_up = time.monotonic() + spec.settles_within_s
    while missing := missing_of(settings):
        if time.monotonic() > gives_up:
            raise NotSettled(missing)
        hunt.tend(arming=False)
        time.sleep(_POLL_S)


def missing_of(settings: Settings) -> str:
    """What is still under way, "" when nothing is."""
    if behind := _unread(settings):
        return f"{behind} raw records are not journaled"
    journal, resolved = (sum(1 for _ in read(settings, name, _all())) for name in (JOURNAL, RESOLVED))
    if resolved < journal:
        return f"{journal - resolved} journal frames are not folded"
    unwritten = [shard for shard, end in _ends(settings).items() if not _is_written(settings, shard, end)]
    return f"ClickHouse lacks facts of shards {unwritten}" if unwritten else ""


def _unread(settings: Settings) -> int:
    """Raw records that are not journaled, but for the last of each partition, which waits for those of its instant."""
    consumer = Consumer(consumer_config(settings.kafka, GROUP))
    parts = [TopicPartition(*part) for part in first_offsets(settings, raw_topics(settings))]
    with closing(consumer):
        ends = [consumer.get_watermark_offsets(part, timeout=10)[1] for part in parts]
        committed = [part.offset for part in consumer.committed(parts, timeout=10)]
    return sum(max(0, end - 1 - max(0, offset)) for end, offset in zip(ends, committed, strict=True))


def _ends(settings: Settings) -> dict[int, int]:
    """The journal offset behind the last frame of each shard that brought rows."""
    frames = (decode_resolved(record.value) for record in read(settings, RESOLVED, _all()))
    return {
        frame.shard: frame.journal_offset + 1
        for frame in frames
        if any(batch.num_rows for batch in frame.tables.values())
    }


def _is_written(settings: Settings, shard: int, end: int) -> bool:
    """Whether all facts of the shard are there, and all are gone that its last block erased."""
    try:
        with closing(open_sink(settings.sink_url)) as database:
            return ledger.position(database, shard) >= end and ledger.to_erase(database, shard, ERASED) is None
    except SinkUnavailable:
        return False


def _all() -> dict[int, int]:
    return dict.fromkeys(range(SHARDS), 0)
