"""One engine and one ingest worker, on an Apache Kafka that goes away, and on offsets that lie."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.cimpl import NewTopic
from pydantic import SecretStr

from schemas.frames import encode_resolved
from streams.journal.frame import Progress, decode_frame, encode_frame
from streams.settings import Kafka, Settings
from streams.topics import JOURNAL, RESOLVED
from streams.worker import stack
from streams.worker.clients import Record, admin, consumer_config, producer_config, read
from streams.worker.ending import EXIT_FAULT
from streams.worker.servers import Server, apache_kafka
from streams.worker.topics import create
from tests.integration.patience import until
from tests.support.frames import SALT, Ev, Journal, fold

FRAMES = 400
APP = "events.raw.app"


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with apache_kafka(tmp_path_factory.mktemp("takeover")) as server:
        yield server


@pytest.fixture
def settings(broker: Server, tmp_path: Path) -> Settings:
    kafka = Kafka(bootstrap=broker.address, raw_partitions=1, shards=1)
    own = Settings(data=tmp_path, tenants=("t1",), salt=SecretStr(SALT.decode()), kafka=kafka)
    _remade(own)
    return own


def _remade(settings: Settings) -> None:
    """All topics, made anew."""
    client = admin(settings.kafka)
    ours = [name for name in client.list_topics(timeout=10).topics if not name.startswith("__")]
    if ours:
        for deleted in client.delete_topics(ours).values():
            deleted.result()
        until(lambda: not set(ours) & set(client.list_topics(timeout=10).topics), "the old topics are gone")
    create(settings)


def _journal(settings: Settings, frames: int) -> Journal:
    """A journal of so many frames, written."""
    journal = Journal()
    for at in range(frames):
        journal.add(Ev(1000 + at, ids=(("phone", "", f"138{at % 50:08d}"),)), until=1000 + at)
    producer = Producer(producer_config(settings.kafka))
    for frame in journal.frames:
        producer.produce(JOURNAL, encode_frame(frame), partition=0)
    assert producer.flush(30) == 0
    return journal


def _records(settings: Settings, topic: str) -> list[Record]:
    return list(read(settings, topic, {0: 0}))


def _has_folded(engine: stack.Worker, settings: Settings, frames: int) -> bool:
    engine.check()
    return len(_records(settings, RESOLVED)) >= frames


def test_an_engine_folds_what_was_committed_and_never_folded(settings: Settings) -> None:
    journal = _journal(settings, FRAMES)
    group = Consumer(consumer_config(settings.kafka, "siyu-engine"))
    group.commit(offsets=[TopicPartition(JOURNAL, 0, FRAMES // 2)], asynchronous=False)
    group.close()
    with stack.workers(settings, ["engine"], settings.data / "logs") as (engine,):
        until(lambda: _has_folded(engine, settings, FRAMES), "all frames are folded")
    folded = [encode_resolved(outputs.resolved) for outputs in fold(journal.frames)[1]]
    assert [record.value for record in _records(settings, RESOLVED)] == folded


def test_an_engine_whose_journal_was_made_anew_ends_instead_of_skipping_it(settings: Settings) -> None:
    _journal(settings, 20)
    with stack.workers(settings, ["engine"], settings.data / "logs") as (engine,):
        until(lambda: _has_folded(engine, settings, 20), "all frames are folded")
    client = admin(settings.kafka)
    client.delete_topics([JOURNAL])[JOURNAL].result()
    until(lambda: JOURNAL not in client.list_topics(timeout=10).topics, "the journal is gone")
    client.create_topics([NewTopic(JOURNAL, 1, 1)])[JOURNAL].result()
    _journal(settings, 3)
    with stack.workers(settings, ["engine"], settings.data / "again") as (engine,):
        assert engine.process.wait(60) == EXIT_FAULT
    assert "was it made anew?" in engine.log.read_text()


def _send(settings: Settings, transactional_id: str = "") -> None:
    """One record that nobody can decode: it moves offsets, and becomes a dead letter."""
    producer = Producer(producer_config(settings.kafka, transactional_id))
    if transactional_id:
        producer.init_transactions(30)
        producer.begin_transaction()
    producer.produce(APP, b"junk", partition=0)
    if transactional_id:
        producer.commit_transaction(30)
    assert producer.flush(30) == 0


def _progress(settings: Settings) -> Progress:
    """The newest progress of the source, as the journal has it."""
    records: Any = reversed(_records(settings, JOURNAL))
    told = (progress for record in records for progress in decode_frame(record.value).progress)
    return next((progress for progress in told if progress.topic == APP), Progress(APP, 0, -1, 0))


def test_ingest_outlives_the_broker_and_goes_on_to_tell_the_time(settings: Settings, broker: Server) -> None:
    with stack.workers(settings, ["ingest"], settings.data / "logs") as (ingest,):
        _send(settings, "a producer with transactions")
        until(lambda: _progress(settings).offset >= 2, "the end behind the transaction's marker is reached")
        broker.kill()
        broker.start()
        before = _progress(settings)
        _send(settings)
        until(lambda: _progress(settings).offset > before.offset, "the record after the restart is journaled")
        until(lambda: _progress(settings).time_ms > before.time_ms + 1000, "an idle source tells the time again")
        ingest.check()
    assert ingest.process.returncode == 0
