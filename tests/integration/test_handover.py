"""Partitions that go from one engine to another, and workers that are told to end: nothing lost, nothing twice.

How long each took is printed (`pytest -s`), not judged.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from schemas.codec import encode
from streams.journal.frame import decode_frame
from streams.topics import JOURNAL
from streams.worker.clients import read
from streams.worker.ending import EXIT_FAULT
from streams.worker.servers import Server, apache_kafka
from tests.integration.life import APP, REGISTRY, Place, place, send, shards_of, value_of
from tests.integration.patience import until

SHARDS = 4
ALL = {str(shard) for shard in range(SHARDS)}
FAT = 1 << 20


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with apache_kafka(tmp_path_factory.mktemp("handover")) as server:
        yield server


@contextmanager
def _load(here: Place) -> Iterator[None]:
    """Frames for all shards, one after the other, for as long as the block lasts."""
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            for shard in range(SHARDS):
                here.write(shard, 2)

    writing = threading.Thread(target=write)
    writing.start()
    try:
        yield
    finally:
        stop.set()
        writing.join()


def _took(what: str, since_s: float) -> None:
    print(f"\n{what}: {time.monotonic() - since_s:.1f} s")


def _own(here: Place, *names: str) -> Callable[[], bool]:
    """Whether these workers, and no others, own all shards, each something."""

    def holds() -> bool:
        owned = [shards_of(here.at[name]) for name in names]
        return all(owned) and set().union(*owned) == ALL and sum(map(len, owned)) == SHARDS

    return holds


def test_shards_move_with_their_state_when_workers_join_leave_and_are_killed(broker: Server, tmp_path: Path) -> None:
    with place(broker, tmp_path, shards=SHARDS) as here:
        with _load(here):
            _moved(here)
        until(here.is_folded, "everything is folded")
        here.assert_once()


def _moved(here: Place) -> None:
    here.start("engine1")
    until(_own(here, "engine1"), "the first worker owns all shards")
    since_s = time.monotonic()
    here.start("engine2")
    until(_own(here, "engine1", "engine2"), "the second one has its share")
    _took("a worker joined, from its start until all shards were folded again", since_s)
    leaving = here.gone("engine1")
    since_s = time.monotonic()
    leaving.process.terminate()
    until(_own(here, "engine2"), "the one that stays has taken over")
    _took("a worker left by SIGTERM, until all shards were folded again", since_s)
    assert leaving.process.wait(60) == 0
    here.start("engine3")
    until(_own(here, "engine2", "engine3"), "the third one has its share")
    killed = here.gone("engine2")
    since_s = time.monotonic()
    killed.process.kill()
    until(_own(here, "engine3"), "the one that is left has taken over")
    _took("a worker was killed, until all shards were folded again", since_s)


def test_a_shard_that_is_slow_to_open_and_full_does_not_hold_up_the_other(broker: Server, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with place(broker, tmp_path, shards=2) as here:
        here.write(0, 150, fat=FAT)
        here.write(1, 20)
        engine = here.start("engine", "opening", str(gate))
        until(lambda: len(here.resolved(1)) == 20, "the other shard is folded")
        here.write(1, 20)
        until(lambda: len(here.resolved(1)) == 40, "what comes later too")
        assert here.resolved(0) == []
        status, text = engine.page("/ready")
        assert status == 503
        assert '"state": "opening"' in text
        gate.touch()
        until(here.is_folded, "the slow one is folded from its first frame on")
        until(lambda: engine.page("/ready")[0] == 200, "the worker is ready")
        here.assert_once()


def test_an_engine_that_is_told_to_end_under_load_commits_leaves_and_loses_nothing(
    broker: Server, tmp_path: Path
) -> None:
    with place(broker, tmp_path, shards=SHARDS) as here:
        here.start("engine1")
        with _load(here):
            until(lambda: len(here.resolved(0)) > 20, "it is at work")
            since_s = time.monotonic()
            here.at["engine1"].process.terminate()
            assert here.gone("engine1").process.wait(60) == 0
            _took("from SIGTERM to the end of the process", since_s)
            assert here.members("siyu-engine") == 0
        for shard in range(SHARDS):
            assert here.committed("siyu-engine", JOURNAL, shard) == len(here.resolved(shard))
        here.start("engine2")
        until(here.is_folded, "the next worker folds the rest")
        here.assert_once()


def test_an_engine_that_can_not_end_in_time_is_ended_hard_and_loses_nothing(broker: Server, tmp_path: Path) -> None:
    with place(broker, tmp_path, shutdown_s=2) as here:
        here.write(0, 5)
        engine = here.start("engine1", "fold_hangs", "0:5")
        until(here.is_folded, "the first frames are folded")
        here.write(0, 5)
        until(lambda: value_of(engine, "siyu_stalled_seconds") > 0, "it hangs")
        engine.process.terminate()
        assert here.gone("engine1").process.wait(60) == EXIT_FAULT
        assert "did not end within 2 s" in engine.log.read_text()
        here.start("engine2")
        until(here.is_folded, "the next worker folds the rest")
        here.assert_once()


def _event(at: int) -> bytes:
    event: dict[str, object] = {"event_id": f"e{at}", "tenant": "t1", "event_type": "page_view", "touchpoint": "app"}
    event |= {"event_time": 1_700_000_000_000, "identities": []}
    return encode("behaviour_event", event, REGISTRY.id_of("behaviour_event"))


def _journaled(here: Place) -> list[int]:
    frames = (decode_frame(record.value) for record in read(here.settings, JOURNAL, {0: 0}))
    return [offset for frame in frames for offset in frame.events["raw_offset"].to_pylist()]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_ingest_that_is_told_to_end_under_load_commits_what_it_journaled(
    broker: Server, tmp_path: Path, number: signal.Signals
) -> None:
    with place(broker, tmp_path) as here:
        here.start("ingest1")
        send(here, [_event(at) for at in range(1000)])
        until(lambda: _journaled(here), "it is at work")
        send(here, [_event(at) for at in range(1000, 20_000)])
        since_s = time.monotonic()
        here.at["ingest1"].process.send_signal(number)
        assert here.gone("ingest1").process.wait(60) == 0
        _took(f"from {number.name} to the end of ingest", since_s)
        assert here.members("siyu-ingest") == 0
        done = _journaled(here)
        assert done == list(range(len(done)))
        assert here.committed("siyu-ingest", APP, 0) == len(done)
        here.start("ingest2")
        until(lambda: len(_journaled(here)) == 20_000, "the next worker journals the rest")
        assert _journaled(here) == list(range(20_000))
