"""A broker that lost the end of a transaction: no record twice, none lost, and no worker that waits for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from confluent_kafka import Producer, TopicPartition

from streams.topics import CHANGELOG, CHANGES, FRAME, RESOLVED
from streams.worker import unended
from streams.worker.clients import producer_config
from streams.worker.output import Output
from streams.worker.servers import Server, apache_kafka
from streams.worker.state.changelog import Commit, pack
from streams.worker.state.rocks import RocksStore
from streams.worker.state.store import Position
from streams.worker.unended import take_back_lost
from tests.integration.life import REGISTRY, Place, place
from tests.integration.patience import until

pytestmark = pytest.mark.servers

ID = "siyu-engine-0"


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One that takes records of transactions which its coordinator does not know of."""
    settings = {"transaction.partition.verification.enable": "false"}
    with apache_kafka(tmp_path_factory.mktemp("unended"), settings=settings) as server:
        yield server


def leave_open(broker: Server, transactional_id: str, *records: tuple[str, bytes], frame: bytes = b"0:5") -> None:
    """Records of a transaction of which the coordinator knows nothing, as after the loss of its end."""

    async def send() -> None:
        producer = AIOKafkaProducer(bootstrap_servers=broker.address, transactional_id=transactional_id)
        await producer.start()
        producer._txn_manager.partitions_to_add = set
        await producer.begin_transaction()
        for topic, value in records:
            await producer.send_and_wait(topic, value, partition=0, headers=[(FRAME, frame)])
        await producer.stop()

    asyncio.run(send())


def folded(here: Place, name: str, frames: int) -> None:
    """A worker of this name has folded so many frames more, and has ended."""
    here.start(name)
    here.write(0, frames)
    until(here.is_folded, "the frames are folded")
    worker = here.gone(name)
    worker.process.terminate()
    assert worker.process.wait(60) == 0


@pytest.mark.parametrize("others", [False, True], ids=["alone", "behind another's"])
@pytest.mark.parametrize("also", [CHANGELOG, CHANGES], ids=["with its changelog record", "before that"])
def test_what_nobody_was_told_to_be_committed_is_taken_back_and_folded_again(
    broker: Server, tmp_path: Path, also: str, others: bool
) -> None:
    with place(broker, tmp_path) as here:
        folded(here, "engine", 5)
        if others:
            leave_open(broker, "somebody", (CHANGES, b""), frame=b"1:7")
        value = pack(Commit(6, []))[0] if also == CHANGELOG else b""
        leave_open(broker, ID, (RESOLVED, here.resolved(0)[-1]), (also, value))
        worker = here.start("engine1")
        here.write(0, 5)
        until(here.is_folded, "the next worker folds the rest")
        said = worker.log.read_text()
        assert f"lost the end of a transaction on {RESOLVED}/0" in said
        assert (f"{CHANGES}/0" in said) == (also == CHANGES)
        here.assert_once()


def test_what_stands_behind_a_transaction_that_ends_meanwhile_is_found(
    broker: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with place(broker, tmp_path) as here:
        folded(here, "engine", 5)
        other = Producer(producer_config(here.settings.kafka, "other"))
        other.init_transactions(30)
        other.begin_transaction()
        other.produce(CHANGES, b"", partition=0)
        other.flush(30)
        leave_open(broker, ID, (CHANGES, b""))
        looks, ends = count(1), unended._ends

        def looked(*asked: Any) -> Any:
            found = ends(*asked)
            if next(looks) == 2:
                other.abort_transaction(30)
            return found

        monkeypatch.setattr(unended, "_ends", looked)
        take_back_lost(here.settings, 0, Output(0, here.settings.kafka, REGISTRY), 5)
        assert unended._undecided(here.settings, [TopicPartition(CHANGES, 0)]) == {}


def test_what_is_open_of_frames_that_are_folded_is_left_to_count(broker: Server, tmp_path: Path) -> None:
    with place(broker, tmp_path) as here:
        folded(here, "engine", 5)
        leave_open(broker, ID, (CHANGES, b""), frame=b"0:4")
        worker = here.start("engine1")
        here.write(0, 5)
        until(here.is_folded, "the next worker folds the rest")
        assert "the broker lost" not in worker.log.read_text()


def test_what_a_store_was_told_to_be_committed_is_committed(broker: Server, tmp_path: Path) -> None:
    with place(broker, tmp_path) as here:
        folded(here, "engine", 5)
        leave_open(broker, ID, (CHANGELOG, pack(Commit(5, []))[0]))
        store = RocksStore(here.settings.data / "engine" / "state" / "shard-0000")
        store.commit([], Position(5, store.position().changelog + 2))
        store.close()
        worker = here.start("engine")
        here.write(0, 5)
        until(here.is_folded, "it goes on")
        assert "the broker lost that a transaction was committed" in worker.log.read_text()
        here.assert_once()


def test_a_transaction_that_nobody_knows_stops_the_worker_with_what_to_do(broker: Server, tmp_path: Path) -> None:
    with place(broker, tmp_path) as here:
        folded(here, "engine", 5)
        leave_open(broker, "somebody", (CHANGELOG, b""))
        worker = here.start("engine1")
        assert worker.process.wait(90) == 70
        here.gone("engine1")
        assert "kafka-transactions.sh find-hanging" in worker.log.read_text()
