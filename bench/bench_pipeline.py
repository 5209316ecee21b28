"""The whole pipeline on this machine: broker, ingest, engine, sink and database, and its floor in the same run.

In: seeded traffic, in the raw topics before the clock starts; engine and sink are ready by then. Out: events/s, CPU
µs/event of each process, memory, and how much of the machine its host took away meanwhile.
The floor is confluent-kafka reading the same topics and doing nothing else. Never: the cost of making the traffic.

    python -m bench.bench_pipeline [--people 4000] [--broker tansu|kafka]
"""

from __future__ import annotations

import argparse
import time
from contextlib import ExitStack
from http import HTTPStatus
from pathlib import Path
from tempfile import TemporaryDirectory

from confluent_kafka import Consumer, TopicPartition
from pydantic import SecretStr

from bench.measure import cpu_seconds, machine_ticks, resident_mib, stolen_percent, tell
from bench.player import Played, Player, with_entry_heartbeats
from bench.traffic import TrafficSpec, plan
from streams.settings import Ingest, Kafka, Settings
from streams.topics import RAW
from streams.worker import stack
from streams.worker.clients import consumer_config, producer_config, registry_of
from streams.worker.servers import Server, apache_kafka, tansu
from streams.worker.stack import Worker, progress_ms

RULES = Path(__file__).parents[1] / "deploy" / "rules"
_LOOK_EVERY_S = 0.2
_GIVES_UP_S = 600


def main() -> None:
    """Fills the raw topics, measures the floor, then the pipeline."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=4_000)
    parser.add_argument("--events-per-person", type=float, default=60.0)
    parser.add_argument("--broker", choices=("tansu", "kafka"), default="tansu")
    arguments = parser.parse_args()
    spec = TrafficSpec(people=arguments.people, events_per_person=arguments.events_per_person)
    with TemporaryDirectory() as folder, ExitStack() as ending:
        start = tansu if arguments.broker == "tansu" else apache_kafka
        broker = ending.enter_context(start(Path(folder) / "broker"))
        settings = _settings(Path(folder) / "data", broker, spec, arguments.broker == "kafka")
        ids = stack.prepare(settings, sorted(RULES.glob("unpaid-*.yaml")), spec.start_ms - 60_000)
        player = Player(producer_config(settings.kafka), registry_of(settings))
        played = player.play(with_entry_heartbeats(plan(spec)))
        assert ids
        _floor(settings, played, arguments.broker)
        _pipeline(settings, broker, played, arguments.broker)


def _settings(folder: Path, broker: Server, spec: TrafficSpec, transactions: bool) -> Settings:
    return Settings(
        data=folder,
        tenants=spec.tenants,
        salt=SecretStr("bench"),
        kafka=Kafka(
            bootstrap=broker.address, transactions=transactions, timestamps="create", raw_partitions=2, shards=3
        ),
        ingest=Ingest(idle_progress=False, patience_ms=60_000),
    )


def _floor(settings: Settings, played: Played, broker: str) -> None:
    consumer = Consumer(consumer_config(settings.kafka, "floor"))
    parts = [(RAW + source, number) for source in settings.sources for number in range(settings.kafka.raw_partitions)]
    consumer.assign([TopicPartition(topic, number, 0) for topic, number in parts])
    wanted = played.records_of_events
    consumer.consume(1, 10)
    wall, cpu, seen, ticks = time.perf_counter(), time.process_time(), 1, machine_ticks()
    while seen < wanted:
        seen += len(consumer.consume(10_000, 0.05))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    consumer.close()
    figures = {"events_per_second": round(played.events / wall), "cpu_us_per_event": cpu / played.events * 1e6}
    figures |= {"stolen_percent": stolen_percent(ticks)}
    tell("floor_consume", broker=broker, events=played.events, records=wanted, **figures)


def _pipeline(settings: Settings, broker: Server, played: Played, named: str) -> None:
    logs = settings.data / "logs"
    with ExitStack() as ending:
        behind = ending.enter_context(stack.workers(settings, ("engine", "sink"), logs))
        _await_ready(behind)
        first = ending.enter_context(stack.workers(settings, ("ingest",), logs))
        running = [*first, *behind]
        pids = {worker.role: worker.process.pid for worker in running} | {"broker": broker.process.pid}
        before, began = _at_start(first[0], pids)
        ticks = machine_ticks()
        _await(running, settings, played.last_ms)
        stolen = stolen_percent(ticks)
        wall = time.perf_counter() - began
        cpu = {role: (cpu_seconds(pid) - before[role]) / played.events * 1e6 for role, pid in pids.items()}
        memory = {role: resident_mib(pid) for role, pid in pids.items()}
    shown = {role: round(value, 1) for role, value in cpu.items()}
    tell(
        "pipeline",
        broker=named,
        events=played.events,
        seconds=wall,
        events_per_second=round(played.events / wall),
        cpu_us_per_event=sum(cpu.values()),
        stolen_percent=stolen,
        cpu_us_by_process=shown,
        resident_mib=memory,
    )


def _await_ready(workers: list[Worker]) -> None:
    """A start takes seconds, whatever comes afterwards; `bench_recovery` measures it."""
    gives_up = time.monotonic() + _GIVES_UP_S
    while any(worker.page("/ready")[0] != HTTPStatus.OK for worker in workers):
        for worker in workers:
            worker.check()
        if time.monotonic() > gives_up:
            raise TimeoutError("the workers did not get ready")
        time.sleep(_LOOK_EVERY_S)


def _at_start(ingest: Worker, pids: dict[str, int]) -> tuple[dict[str, float], float]:
    """Waits until ingest has read its first records; the clock starts with the look before that."""
    while True:
        before, began = {role: cpu_seconds(pid) for role, pid in pids.items()}, time.perf_counter()
        ingest.check()
        if any(name == "siyu_records_total" for name, _ in ingest.metrics()):
            return before, began
        time.sleep(_LOOK_EVERY_S)


def _await(running: list[Worker], settings: Settings, last_ms: int) -> None:
    gives_up = time.monotonic() + _GIVES_UP_S
    for role in ("engine", "sink"):
        workers = [worker for worker in running if worker.role == role]
        while progress_ms(workers, settings.kafka.shards) < last_ms:
            for worker in running:
                worker.check()
            if time.monotonic() > gives_up:
                raise TimeoutError(f"the {role} did not get to the end")
            time.sleep(_LOOK_EVERY_S)


if __name__ == "__main__":
    main()
