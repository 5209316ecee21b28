"""Snapshots and a changelog that is cut off, on Apache Kafka: a worker on an empty disk goes on as if it had all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from threading import Event

import msgpack
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from pydantic import SecretStr

from schemas.frames import encode_resolved
from streams.journal.frame import encode_frame
from streams.journal.tables import Change
from streams.settings import Engine, Kafka, Settings, Snapshots
from streams.topics import CHANGELOG, JOURNAL, RESOLVED
from streams.worker import stack
from streams.worker.clients import BrokerUnavailable, admin, consumer_config, producer_config, read
from streams.worker.ending import EXIT_FAULT
from streams.worker.servers import Server, apache_kafka
from streams.worker.state.archive import Archive
from streams.worker.state.origin import UNKNOWN, origin_of
from streams.worker.state.restore import Restored, Unrestorable, restore
from streams.worker.state.store import MemoryStore
from streams.worker.state.tail import delete_below
from streams.worker.topics import create
from tests.integration.patience import until
from tests.support.frames import SALT, Ev, Journal, fold

FRAMES, MORE = 300, 50


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with apache_kafka(tmp_path_factory.mktemp("snapshots")) as server:
        yield server


def _settings(broker: Server, folder: Path) -> Settings:
    """One shard, a transaction a frame, a snapshot after every change of as many rows as there are."""
    return Settings(
        data=folder / "first host",
        tenants=("t1",),
        salt=SecretStr(SALT.decode()),
        kafka=Kafka(bootstrap=broker.address, raw_partitions=1, shards=1),
        engine=Engine(commit_bytes=1),
        snapshots=Snapshots(url=f"file://{folder}/snapshots", every_rows=1, prune=True),
    )


def _write(settings: Settings, journal: Journal, frames: int) -> None:
    """So many frames more of a few persons, written."""
    begun = len(journal.frames)
    for at in range(begun, begun + frames):
        journal.add(Ev(1000 + at, ids=(("phone", "", f"138{at % 20:08d}"),)), until=1000 + at)
    producer = Producer(producer_config(settings.kafka))
    for frame in journal.frames[begun:]:
        producer.produce(JOURNAL, encode_frame(frame), partition=0)
    assert producer.flush(30) == 0


def _has_folded(engine: stack.Worker, settings: Settings, frames: int) -> bool:
    engine.check()
    return len(list(read(settings, RESOLVED, {0: 0}))) >= frames


def _first(settings: Settings) -> int:
    """Where the changelog begins."""
    with closing(Consumer(consumer_config(settings.kafka, "first"))) as consumer:
        first: int = consumer.get_watermark_offsets(TopicPartition(CHANGELOG, 0), timeout=10)[0]
    return first


def _restored(settings: Settings, place: str) -> Restored:
    """What a host finds that has nothing of its own."""
    here = origin_of(settings)
    reader = Consumer(consumer_config(settings.kafka, "another-host", enable_partition_eof=True))
    partition = TopicPartition(CHANGELOG, 0)
    return restore(MemoryStore(), reader, partition, Event(), archive=Archive(place, 0, here), here=here)


def _kept(change: Change) -> Change:
    return Change(*msgpack.unpackb(msgpack.packb(tuple(change)), use_list=False))


@pytest.fixture(scope="module")
def cut(broker: Server, tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, Journal]:
    """A journal that was folded, and a changelog that begins late since."""
    settings = _settings(broker, tmp_path_factory.mktemp("hosts"))
    create(settings)
    journal = Journal()
    _write(settings, journal, FRAMES)
    with stack.workers(settings, ["engine"], settings.data / "logs") as (engine,):
        until(lambda: _has_folded(engine, settings, FRAMES), "all frames are folded")
        until(lambda: _first(settings) > 0, "the changelog is cut off")
    assert engine.process.returncode == 0
    return settings, journal


def test_a_snapshot_and_the_rest_of_the_changelog_give_the_state_of_the_fold(cut: tuple[Settings, Journal]) -> None:
    settings, journal = cut
    engine, _ = fold(journal.frames)
    tables, position = _restored(settings, settings.snapshots.url)
    assert list(tables.rows()) == [_kept(change) for change in engine.tables.rows()]
    assert position.journal == len(journal.frames)


def test_without_snapshots_a_changelog_that_is_cut_off_gives_no_state(cut: tuple[Settings, Journal]) -> None:
    settings, _ = cut
    with pytest.raises(Unrestorable):
        _restored(settings, str(settings.data / "nothing"))


def test_a_worker_that_finds_no_snapshot_ends_and_says_why(cut: tuple[Settings, Journal]) -> None:
    settings, _ = cut
    elsewhere = settings.data.parent / "second host"
    alone = settings.model_copy(update={"data": elsewhere, "snapshots": Snapshots()})
    with stack.workers(alone, ["engine"], elsewhere / "logs") as (engine,):
        assert engine.process.wait(60) == EXIT_FAULT
    assert "what was before was deleted" in engine.log.read_text()


def test_a_worker_on_an_empty_disk_goes_on_as_the_first_one_would_have(cut: tuple[Settings, Journal]) -> None:
    settings, journal = cut
    elsewhere = settings.data.parent / "third host"
    _write(settings, journal, MORE)
    with stack.workers(settings.model_copy(update={"data": elsewhere}), ["engine"], elsewhere / "logs") as (engine,):
        until(lambda: _has_folded(engine, settings, FRAMES + MORE), "the new frames are folded")
    folded = [encode_resolved(outputs.resolved) for outputs in fold(journal.frames)[1]]
    assert [record.value for record in read(settings, RESOLVED, {0: 0})] == folded
    assert "from snapshot" in engine.log.read_text()


def test_a_changelog_made_anew_ends_the_worker_that_has_its_state(cut: tuple[Settings, Journal]) -> None:
    """And one with an empty disk too, that sees snapshots only: else every trigger would go out again."""
    settings, _ = cut
    client = admin(settings.kafka)
    before = origin_of(settings)
    client.delete_topics([CHANGELOG])[CHANGELOG].result()
    until(lambda: CHANGELOG not in client.list_topics(timeout=10).topics, "the changelog is gone")
    create(settings)
    now = origin_of(settings)
    assert now[:2] == before[:2]
    assert now.changelog not in ("", before.changelog)
    for host in ("first host", "fourth host"):
        own = settings.model_copy(update={"data": settings.data.parent / host})
        with stack.workers(own, ["engine"], own.data / "again") as (engine,):
            assert engine.process.wait(60) == EXIT_FAULT
        assert "is there: was it made anew?" in engine.log.read_text()


def test_the_embedded_broker_tells_ids_and_keeps_its_records(tansu: Server, tmp_path: Path) -> None:
    settings = _settings(tansu, tmp_path)
    create(settings)
    assert UNKNOWN not in (origin_of(settings), origin_of(settings)._replace(cluster=""))
    with pytest.raises(BrokerUnavailable, match="can't be cut off"):
        delete_below(settings, 0, 1)
    assert origin_of(settings) == origin_of(settings)
