"""Workers that read rows of ids from their store when they are asked for, killed and told otherwise in between."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from confluent_kafka import Producer
from pydantic import SecretStr

from schemas.frames import encode_resolved
from streams.journal.frame import encode_frame
from streams.settings import Engine, Kafka, Settings, Snapshots
from streams.topics import JOURNAL, RESOLVED
from streams.worker import stack
from streams.worker.clients import producer_config, read
from streams.worker.servers import Server, apache_kafka
from streams.worker.topics import create
from tests.integration.patience import until
from tests.support.frames import SALT, Ev, Journal, fold

FRAMES = 300
PEOPLE = 60


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with apache_kafka(tmp_path_factory.mktemp("memory-rows")) as server:
        yield server


def _settings(broker: Server, folder: Path, memory_rows: int) -> Settings:
    """One shard, a transaction a frame, a snapshot after every change of as many rows as there are."""
    return Settings(
        data=folder,
        tenants=("t1",),
        salt=SecretStr(SALT.decode()),
        kafka=Kafka(bootstrap=broker.address, raw_partitions=1, shards=1),
        engine=Engine(commit_bytes=1, memory_rows=memory_rows),
        snapshots=Snapshots(every_rows=1),
    )


def _write(settings: Settings, journal: Journal) -> None:
    """So many frames more: phones that come alone, then with one of a few devices, then with an openid."""
    begun = len(journal.frames)
    for at in range(begun, begun + FRAMES):
        who = at * 7 % PEOPLE
        phone = ("phone", "", f"138{who:08d}")
        besides = ((), (("device_id", "", f"d{who % 9}"),), (("openid", "wx", f"o{who}"),))[at % 3]
        journal.add(Ev(1000 + at, ids=(phone, *besides), id=f"e{at}"), until=1000 + at)
    producer = Producer(producer_config(settings.kafka))
    for frame in journal.frames[begun:]:
        producer.produce(JOURNAL, encode_frame(frame), partition=0)
    assert producer.flush(30) == 0


def _resolved(settings: Settings) -> list[bytes]:
    return [record.value for record in read(settings, RESOLVED, {0: 0})]


def _has_folded(engine: stack.Worker, settings: Settings, frames: int) -> bool:
    engine.check()
    return len(_resolved(settings)) >= frames


def test_killed_workers_that_hold_few_rows_in_memory_resolve_each_event_once_and_as_one_undisturbed_does(
    broker: Server, tmp_path: Path
) -> None:
    settings = [_settings(broker, tmp_path, memory_rows) for memory_rows in (2, 2, 0, 2)]
    create(settings[0])
    journal = Journal()
    for own in settings:
        begun = len(_resolved(own))
        _write(own, journal)
        with stack.workers(own, ["engine"], tmp_path / "logs") as (engine,):
            until(partial(_has_folded, engine, own, begun + FRAMES // 3), "some frames are folded")
            engine.process.kill()
    with stack.workers(settings[-1], ["engine"], tmp_path / "logs") as (engine,):
        until(partial(_has_folded, engine, settings[-1], len(journal.frames)), "all frames are folded")
    assert _resolved(settings[0]) == [encode_resolved(outputs.resolved) for outputs in fold(journal.frames)[1]]
