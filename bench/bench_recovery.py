"""How long the state of one shard takes to come back, and what taking a snapshot of it costs the live work.

In: rows as the engine writes them (seeded traffic, folded), multiplied under other ids. Out: a JSON line each for a
restore from the local store, from a snapshot and the rest of the changelog on an empty disk, from the whole changelog;
and for a snapshot taken while an engine folds. Never: files in the page cache when a restore begins.

    python -m bench.bench_recovery [--rows 1000000] [--tail 100000] [--memory-rows 0]

Each restore has a process of its own. `seconds` is from opening the store to an engine that could fold the next frame,
`cold_s` from the start of the process. The changelog is on an Apache Kafka of its own, each row in it once; a real one
has many versions of a row, and takes that much longer. On a busy machine look at `cpu_s`.
"""

from __future__ import annotations

import argparse
import os
import random
import string
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from confluent_kafka import Consumer, Message, Producer, TopicPartition

from bench.bench_stages import frames_of
from bench.measure import tell
from bench.traffic import TrafficSpec, plan
from streams.engine import Engine, EngineConfig
from streams.journal.frame import Frame
from streams.journal.tables import Change, Tables
from streams.settings import Kafka, Settings
from streams.settings import Snapshots as Schedule
from streams.topics import CHANGELOG
from streams.worker.clients import consumer_config, producer_config
from streams.worker.servers import apache_kafka
from streams.worker.state.archive import Archive
from streams.worker.state.changelog import Commit, pack
from streams.worker.state.origin import Origin, origin_of
from streams.worker.state.restore import restore, without_collection
from streams.worker.state.rocks import RocksStore
from streams.worker.state.snapshot import Header, view, write
from streams.worker.state.snapshots import Snapshots
from streams.worker.state.store import Position
from streams.worker.telemetry import Telemetry
from streams.worker.topics import create

CONFIG = EngineConfig(b"bench", dedup_window_ms=10 * 86_400_000)
FOLDERS = {"local_store": "store", "snapshot_and_tail": "empty", "whole_changelog": "empty too"}
"""Where each restore has its local store."""
_COMMIT_ROWS = 2_000
_LETTERS = string.ascii_letters + string.digits


def main() -> None:
    """Builds the state once, and restores it from each place."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--tail", type=int, default=100_000, help="changed rows after the snapshot")
    parser.add_argument("--memory-rows", type=int, default=0, help="as the setting engine.memory_rows")
    parser.add_argument("--recover", nargs=4, metavar=("SOURCE", "PLACE", "BROKER", "SINCE"), help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.recover:
        source, place, broker, since = chosen.recover
        State(Path(place), broker, chosen.memory_rows).recover(source, float(since))
        return
    with TemporaryDirectory() as place, apache_kafka(Path(place) / "kafka") as server:
        _measure(State(Path(place), server.address, chosen.memory_rows), chosen.rows, chosen.tail)


def _measure(state: State, wanted: int, tail: int) -> None:
    frames = frames_of(plan(TrafficSpec(people=2_000)))
    rows = list(_multiplied(_folded(frames), wanted))
    create(state.settings)
    state.write(rows, random.Random(2).sample(rows, tail))
    for source in FOLDERS:
        _cool(state.place)
        command = [sys.executable, "-m", "bench.bench_recovery", "--memory-rows", str(state.memory_rows)]
        where = [source, str(state.place), state.settings.kafka.bootstrap, str(time.time())]
        subprocess.run([*command, "--recover", *where], check=True)
    _beside_live_work(rows, frames, state.archive(origin_of(state.settings)))


class State:
    """One shard's state in all its places."""

    def __init__(self, place: Path, broker: str, memory_rows: int) -> None:
        self.place = place
        self.memory_rows = memory_rows
        self.settings = Settings(data=place / "data", kafka=Kafka(bootstrap=broker, shards=1))

    def archive(self, here: Origin) -> Archive:
        """The snapshots."""
        return Archive(str(self.place / "snapshots"), 0, here)

    def write(self, rows: list[Change], tail: list[Change]) -> None:
        """All rows to changelog, store and snapshot; then the changed ones to changelog and store."""
        here = origin_of(self.settings)
        store = RocksStore(self.place / FOLDERS["local_store"], self.memory_rows)
        store.bind(here)
        end = self._commit(store, rows, here)
        header = Header(0, Position(1, end), here, len(rows), 0)
        self.archive(here).save(end, write(header, view(Tables(rows))))
        self._commit(store, tail, here)
        store.close()

    def _commit(self, store: RocksStore, rows: list[Change], here: Origin) -> int:
        producer = Producer(producer_config(self.settings.kafka))
        ends: list[int] = []

        def sent(error: Any, message: Message) -> None:
            ends.append((message.offset() or 0) + 1)

        for at in range(0, len(rows), _COMMIT_ROWS):
            changes = rows[at : at + _COMMIT_ROWS]
            for value in pack(Commit(1, changes, here.journal)):
                producer.produce(CHANGELOG, value, partition=0, on_delivery=sent)
            producer.flush()
            store.commit(changes, Position(1, ends[-1]))
        return ends[-1]

    def recover(self, source: str, since: float) -> None:
        """Restores from what is there, and tells how long it took; `since` is when the process was started."""
        wall, cpu, folder = time.perf_counter(), time.process_time(), self.place / FOLDERS[source]
        with without_collection():
            store = RocksStore(folder, self.memory_rows)
            here = origin_of(self.settings)
            reader = Consumer(consumer_config(self.settings.kafka, "bench", enable_partition_eof=True))
            archive = self.archive(here) if source == "snapshot_and_tail" else None
            partition, stopping = TopicPartition(CHANGELOG, 0), threading.Event()
            tables, _ = restore(store, reader, partition, stopping, archive=archive, here=here)
            restored = time.perf_counter()
            engine = Engine(0, CONFIG, tables)
        ended = time.perf_counter()
        figures = {"seconds": ended - wall, "cpu_s": time.process_time() - cpu, "cold_s": time.time() - since}
        figures |= {"restore_s": restored - wall, "engine_s": ended - restored}
        rows, persons, hashes = sum(tables.sizes().values()), tables.sizes()["persons"], len(engine.dedup)
        tell(f"recovery_{source}", **figures, rows=rows, persons=persons, hashes=hashes, mb=_size(folder))
        store.close()


def _beside_live_work(rows: list[Change], frames: list[Frame], archive: Archive) -> None:
    """An engine folds in this thread, alone and while a snapshot of the big state is taken beside it."""
    tables = Tables(rows)
    alone = _events_per_second(frames, lambda: False)
    telemetry = Telemetry("engine")
    snapshots = Snapshots(0, Schedule(every_rows=1), archive, telemetry, lambda offset: None)
    began = time.perf_counter()
    snapshots.committed(tables, Position(9, 1 << 40), len(rows))
    stalled = time.perf_counter() - began
    beside = _events_per_second(frames, lambda: "siyu_snapshots_total{" not in telemetry.text())
    took = time.perf_counter() - began
    mb = _size(Path(archive.kept()[0].path))
    tell("snapshot", rows=len(rows), lane_stalled_s=stalled, seconds=took, mb=mb, events_per_second=beside, alone=alone)
    snapshots.close()


def _events_per_second(frames: list[Frame], going_on: Callable[[], bool]) -> int:
    """Folds all frames, and again while that is so."""
    events, began = 0, time.perf_counter()
    while True:
        engine = Engine(0, CONFIG, Tables())
        for offset, frame in enumerate(frames):
            engine.step(offset, frame)
            events += int(frame.events.num_rows)
            if events > 20_000 and not going_on():
                return round(events / (time.perf_counter() - began))


def _folded(frames: Iterable[Frame]) -> list[Change]:
    engine = Engine(0, CONFIG, Tables())
    for offset, frame in enumerate(frames):
        engine.step(offset, frame)
    return list(engine.tables.rows())


def _multiplied(rows: list[Change], wanted: int) -> Iterator[Change]:
    """The rows, then again under other ids, as many as are wanted, in no order."""
    drawn, found = random.Random(1), list(rows)
    while len(found) < wanted:
        letters = "".join(drawn.sample(_LETTERS, len(_LETTERS)))
        names = str.maketrans(_LETTERS, letters)
        found += [row for row in (_renamed(row, names, drawn) for row in rows) if row is not None]
    drawn.shuffle(found)
    yield from found[:wanted]


def _renamed(row: Change, names: dict[int, int], drawn: random.Random) -> Change | None:
    """The row of others; None where it is of no person."""
    table, key, value = row
    if table == "dedup":
        return Change(table, f"{key[:-4]}{drawn.randrange(10_000):04d}", drawn.randbytes(len(value)))
    if table not in _VALUES:
        return None
    return Change(table, "\x1e".join(_other(node, names) for node in key.split("\x1e")), _VALUES[table](value, names))


def _as_it_is(value: Any, _names: dict[int, int]) -> Any:
    return value


def _node(value: Any, names: dict[int, int]) -> Any:
    return (*(text.translate(names) for text in value[:2]), *value[2:])


def _links(value: Any, names: dict[int, int]) -> Any:
    return tuple((_other(to, names), event_id.translate(names), *rest) for to, event_id, *rest in value)


def _beside(value: Any, names: dict[int, int]) -> Any:
    return (value[0].translate(names), *value[1:])


def _instance(value: Any, names: dict[int, int]) -> Any:
    return (_seen(value[0], names), _seen(value[1], names), *value[2:])


_VALUES: dict[str, Callable[[Any, dict[int, int]], Any]] = {
    "nodes": _node,
    "persons": _as_it_is,
    "links": _links,
    "beside": _beside,
    "instances": _instance,
    "timers": _as_it_is,
}


def _other(text: str, names: dict[int, int]) -> str:
    """A node or key with another last part."""
    before, mark, last = text.rpartition("\x1f")
    return before + mark + last.translate(names)


def _seen(value: Any, names: dict[int, int]) -> Any:
    if value is None:
        return None
    event_id, time_ms, *nodes = value
    return (event_id.translate(names), time_ms, *(tuple(_other(node, names) for node in of) for of in nodes))


def _cool(folder: Path) -> None:
    """Lets the operating system forget what is in these files."""
    os.sync()
    for path in folder.rglob("*"):
        if path.is_file():
            handle = os.open(path, os.O_RDONLY)
            os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(handle)


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    sizes = (file.stat().st_size for file in files if file.is_file())
    return round(sum(sizes) / 1e6)


if __name__ == "__main__":
    main()
