"""Workers whose lives are watched: settings, journals by hand, what came of them, with or without a planted fault.

In: a broker. Out: a `Place` with topics of its own. Never: a wait without an end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
from confluent_kafka import Consumer, Producer, TopicPartition
from pydantic import SecretStr

from schemas.codec import decode_one, encode
from schemas.frames import encode_resolved
from schemas.registry import LocalRegistry
from streams.backtest import Shards
from streams.engine import EngineConfig, Outputs
from streams.journal.frame import Frame, encode_frame
from streams.settings import Ingest, Kafka, Settings, Sink, Worker
from streams.topics import CHANGES, DEADLETTER, JOURNAL, RESOLVED
from streams.worker import stack
from streams.worker.clients import Record, admin, consumer_config, producer_config, read
from streams.worker.servers.process import Server, free_ports
from streams.worker.topics import create
from tests.integration.patience import until
from tests.support.frames import SALT, Ev, Journal
from tests.support.planted_worker import COMMAND as PLANTED

REGISTRY = LocalRegistry()
APP = "events.raw.app"


@dataclass
class Place:
    """Topics of their own, the journal that was written there, and the workers that were started."""

    settings: Settings
    journals: dict[int, Journal] = field(default_factory=dict)
    at: dict[str, stack.Worker] = field(default_factory=dict)
    _written: Counter[int] = field(default_factory=Counter)

    def write(self, shard: int, frames: int, fat: int = 0) -> None:
        """So many frames more on the journal of this shard, an event each; `fat`: bytes that each has at least."""
        journal = self.journals.setdefault(shard, Journal())
        producer = Producer(producer_config(self.settings.kafka, compression_type="none"))
        for at in range(self._written[shard], self._written[shard] + frames):
            phone = (("phone", "", f"138{at % 50:08d}"),)
            journal.add(Ev(1000 + at, ids=phone, id=f"s{shard}-{at}"), until=1000 + at)
            if fat:
                journal.frames[-1] = _fattened(journal.frames[-1], fat)
            producer.produce(JOURNAL, encode_frame(journal.frames[-1]), partition=shard)
            producer.poll(0)
        assert producer.flush(60) == 0
        self._written[shard] += frames

    def expected(self, most_faults: int = 20) -> dict[int, list[Outputs]]:
        """What an undisturbed fold makes of all that was written."""
        shards = Shards(EngineConfig(SALT, most_faults=most_faults))
        return {
            shard: [shards.step(shard, at, frame) for at, frame in enumerate(journal.frames)]
            for shard, journal in self.journals.items()
        }

    def resolved(self, shard: int) -> list[bytes]:
        """The committed resolved frames of the shard."""
        return [record.value for record in read(self.settings, RESOLVED, {shard: 0})]

    def is_folded(self) -> bool:
        """Whether everything that was written is folded; no worker that should run has ended."""
        for worker in self.at.values():
            worker.check()
        return all(len(self.resolved(shard)) >= number for shard, number in self._written.items())

    def assert_once(self) -> None:
        """Each frame was folded once, in order, and each public record is there once."""
        expected = self.expected()
        for shard, outputs in expected.items():
            assert self.resolved(shard) == [encode_resolved(one.resolved) for one in outputs], shard
        said = Counter(
            (topic, key.encode(), encode(subject, record, REGISTRY.id_of(subject)))
            for outputs in expected.values()
            for one in outputs
            for topic, key, subject, record in one.public
        )
        there = [(name, one) for name in (CHANGES, DEADLETTER) for one in self.records(name)]
        assert said == Counter((name, one.key, one.value) for name, one in there)

    def records(self, topic: str) -> list[Record]:
        """All committed records of a public topic."""
        return list(read(self.settings, topic, dict.fromkeys(range(self.settings.kafka.shards), 0)))

    def letters(self) -> list[dict[str, Any]]:
        """All dead letters, by where they came from."""
        found = [decode_one(one.value, REGISTRY, "dead_letter") for one in self.records(DEADLETTER)]
        return sorted(found, key=lambda one: (one["topic"], one["partition"], one["offset"]))

    def start(self, name: str, *fault: str, **changes: Any) -> stack.Worker:
        """A worker named after its role and a number, with a data folder of its own; `fault`: planted in it."""
        role = name.rstrip("0123456789")
        settings = self.settings.model_copy(update={"data": self.settings.data / name, **changes})
        (port,) = free_ports(1)
        siyu = (*PLANTED, *fault) if fault else stack.COMMAND
        self.at[name] = stack.start_worker(settings, role, port, self.settings.data / f"{name}.log", siyu)
        return self.at[name]

    def gone(self, name: str) -> stack.Worker:
        """The worker is not expected to run any more."""
        return self.at.pop(name)

    def members(self, group: str) -> int:
        """How many members the group has, as its coordinator knows."""
        client = admin(self.settings.kafka)  # its answers live as long as it does
        (described,) = client.describe_consumer_groups([group]).values()
        return len(described.result().members)

    def committed(self, group: str, topic: str, partition: int) -> int:
        """What the group has committed."""
        consumer = Consumer(consumer_config(self.settings.kafka, group))
        (told,) = consumer.committed([TopicPartition(topic, partition)], timeout=10)
        consumer.close()
        return told.offset

    def abort(self) -> None:
        """Kills all that run."""
        for worker in self.at.values():
            worker.process.kill()
            worker.process.wait()


def _fattened(frame: Frame, size: int) -> Frame:
    place = frame.events.schema.get_field_index("properties")
    fat = pa.array(['{"a": "' + "x" * size + '"}'] * frame.events.num_rows, pa.string())
    return replace(frame, events=frame.events.set_column(place, frame.events.schema.field(place), fat))


def shards_of(worker: stack.Worker) -> set[str]:
    """The shards whose progress this worker tells."""
    return {dict(labels)["shard"] for name, labels in worker.metrics() if name == "siyu_progress_timestamp_seconds"}


def value_of(worker: stack.Worker, name: str, **labels: str) -> float:
    """The sum of a metric over all series that have these labels."""
    wanted = labels.items()
    return sum(
        value for (found, has), value in worker.metrics().items() if found == name and wanted <= dict(has).items()
    )


@contextmanager
def place(broker: Server, folder: Path, *, shards: int = 1, sink: str = "chdb://", **worker: int) -> Iterator[Place]:
    """Topics made anew on this broker."""
    kafka = Kafka(bootstrap=broker.address, raw_partitions=1, shards=shards)
    settings = Settings(
        data=folder,
        tenants=("t1",),
        sources=("app", "order"),
        salt=SecretStr(SALT.decode()),
        kafka=kafka,
        ingest=Ingest(patience_ms=200),
        sink=Sink(url=sink, block_ms=50),
        worker=Worker(**worker),
    )
    _remade(settings)
    found = Place(settings)
    try:
        yield found
    finally:
        found.abort()


def _remade(settings: Settings) -> None:
    client = admin(settings.kafka)
    ours = [name for name in client.list_topics(timeout=10).topics if not name.startswith("__")]
    if ours:
        for deleted in client.delete_topics(ours).values():
            deleted.result()
        until(lambda: not set(ours) & set(client.list_topics(timeout=10).topics), "the old topics are gone")
    create(settings)


def send(place: Place, values: Sequence[bytes], topic: str = APP) -> None:
    """Raw records, acknowledged."""
    producer = Producer(producer_config(place.settings.kafka))
    for value in values:
        producer.produce(topic, value, partition=0)
    assert producer.flush(30) == 0
