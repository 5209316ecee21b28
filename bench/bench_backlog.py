"""A journal that is full before the engine starts: how fast one engine worker folds it on Apache Kafka.

In: seeded traffic, journaled before the clock starts. Out: events/s and frames/s, for big frames and for small ones.
The clock starts at the first commit. Never: ingest or sink running meanwhile.

    python -m bench.bench_backlog [--people 2000] [--rows 8000 50]
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from pydantic import SecretStr

from bench.measure import cpu_seconds, tell
from bench.player import Played, Player, with_entry_heartbeats
from bench.traffic import TrafficSpec, plan
from streams.settings import Ingest, Kafka, Settings
from streams.worker import stack
from streams.worker.clients import producer_config, registry_of
from streams.worker.control import journal_ends
from streams.worker.servers import apache_kafka
from streams.worker.stack import Worker, progress_ms

RULES = Path(__file__).parents[1] / "deploy" / "rules"
_LOOK_EVERY_S = 0.02


def main() -> None:
    """One journal after the other, each with frames of at most so many rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=2_000)
    parser.add_argument("--rows", type=int, nargs="+", default=[8_000, 50])
    arguments = parser.parse_args()
    spec = TrafficSpec(people=arguments.people)
    for rows in arguments.rows:
        with TemporaryDirectory() as folder, apache_kafka(Path(folder) / "kafka") as broker:
            settings = _settings(Path(folder) / "data", broker.address, spec, rows)
            stack.prepare(settings, sorted(RULES.glob("*.yaml")), spec.start_ms - 60_000)
            played = Player(producer_config(settings.kafka), registry_of(settings)).play(
                with_entry_heartbeats(plan(spec))
            )
            _journal(settings, played)
            _fold(settings, played, rows)


def _settings(folder: Path, bootstrap: str, spec: TrafficSpec, rows: int) -> Settings:
    shards = len(spec.tenants)
    return Settings(
        data=folder,
        tenants=spec.tenants,
        salt=SecretStr("bench"),
        kafka=Kafka(bootstrap=bootstrap, timestamps="create", raw_partitions=2, shards=shards),
        ingest=Ingest(idle_progress=False, patience_ms=60_000, max_rows=rows),
    )


def _journal(settings: Settings, played: Played) -> None:
    with stack.workers(settings, ("ingest",), settings.data / "logs") as (ingest,):
        while _count(ingest, "siyu_records_total") < played.records:
            ingest.check()
            time.sleep(_LOOK_EVERY_S)


def _count(worker: Worker, name: str) -> float:
    return sum(value for (metric, _), value in worker.metrics().items() if metric == name)


def _fold(settings: Settings, played: Played, rows: int) -> None:
    frames = sum(journal_ends(settings).values())
    with stack.workers(settings, ("engine",), settings.data / "logs") as (engine,):
        while not _count(engine, "siyu_commits_total"):
            engine.check()
            time.sleep(_LOOK_EVERY_S)
        began, cpu = time.perf_counter(), cpu_seconds(engine.process.pid)
        while progress_ms([engine], settings.kafka.shards) < played.last_ms:
            engine.check()
            time.sleep(_LOOK_EVERY_S)
        wall, cpu = time.perf_counter() - began, cpu_seconds(engine.process.pid) - cpu
    tell(
        "backlog",
        rows_a_frame=rows,
        frames=frames,
        frames_per_second=round(frames / wall),
        events=played.events,
        events_per_second=round(played.events / wall),
        cpu_us_per_event=cpu / played.events * 1e6,
        seconds=wall,
    )


if __name__ == "__main__":
    main()
