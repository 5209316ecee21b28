"""How many Kafka transactions a second one worker commits, and how long each takes, by lanes and commit interval.

In:    lanes (transactional producers, one thread each), pauses between commits, messages of a transaction.
Out:   one JSON line a run: transactions/s, latency from begin to the end of commit, CPU of client and broker.
Never: anything but producing: no store, no engine, no consumer. What it decides is in decision 0002.

    python -m bench.bench_transactions --lanes 1 4 16 64 --interval-ms 0 100
"""

import argparse
import json
import os
import random
import resource
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka import KafkaException, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from streams.worker.servers import Server, apache_kafka

WARM_UP_S = 3.0
TOPICS = ("facts", "actions", "changelog")

# What Kafka has when nobody sets it; our servers set these lower so that they start sooner.
KAFKA_DEFAULTS: Mapping[str, object] = {
    "transaction.state.log.num.partitions": None,
    "offsets.topic.num.partitions": None,
    "broker.session.timeout.ms": None,
    "broker.heartbeat.interval.ms": None,
    "log.cleaner.dedupe.buffer.size": None,
}


@dataclass(frozen=True)
class Load:
    """What each lane does: begin, produce `messages` of `size` bytes over the topics, commit, wait for the interval."""

    lanes: int
    interval_ms: int
    messages: int
    size: int
    seconds: float
    producer: Mapping[str, object]


@dataclass(frozen=True)
class Usage:
    """CPU seconds since a process started, and the wall clock they were read at."""

    at: float
    client: float
    broker: float

    @classmethod
    def read(cls, broker: Server) -> "Usage":
        own = resource.getrusage(resource.RUSAGE_SELF)
        fields = Path(f"/proc/{broker.process.pid}/stat").read_text().rpartition(")")[2].split()
        ticks = int(fields[11]) + int(fields[12])
        return cls(time.perf_counter(), own.ru_utime + own.ru_stime, ticks / os.sysconf("SC_CLK_TCK"))


@dataclass(frozen=True)
class Commit:
    """One transaction: when its commit returned, and the seconds since its begin and since the call of commit."""

    ended: float
    whole: float
    commit: float


@dataclass(frozen=True)
class Done:
    """What one lane did, and the error that ended it early, or nothing."""

    commits: Sequence[Commit]
    failure: str = ""


def measure(broker: Server, load: Load) -> dict[str, object]:
    """One run of the load on topics of its own; its warm-up is not counted."""
    with fresh_topics(broker, load.lanes) as topics, ThreadPoolExecutor(load.lanes) as threads:
        opened = time.perf_counter()
        producers = list(threads.map(lambda lane: open_producer(broker, load, lane), range(load.lanes)))
        init_s = time.perf_counter() - opened
        lanes = [threads.submit(run_lane, *lane, load, topics) for lane in enumerate(producers)]
        before, after, size = observe(broker, load.seconds)
        done = [lane.result() for lane in lanes]
    commits = [commit for lane in done for commit in lane.commits]
    failed = [lane.failure for lane in done if lane.failure]
    counted = [commit for commit in commits if before.at <= commit.ended <= after.at]
    return {**described(load, counted, before, after), "init_s": round(init_s, 2), **size, "failed_lanes": failed}


@contextmanager
def fresh_topics(broker: Server, partitions: int) -> Iterator[Sequence[str]]:
    """The topics, named for this run, one partition a lane; deleted at the end."""
    admin = AdminClient({"bootstrap.servers": broker.address})
    names = [f"{topic}-{time.time_ns()}" for topic in TOPICS]
    for created in admin.create_topics([NewTopic(name, partitions, 1) for name in names]).values():
        created.result(30)
    while not all(has_leaders(admin, name, partitions) for name in names):
        time.sleep(0.1)
    yield names
    for deleted in admin.delete_topics(names).values():
        deleted.result(30)


def has_leaders(admin: AdminClient, topic: str, partitions: int) -> bool:
    """Whether the broker's metadata shows the whole topic: with 64 partitions, seconds after it was created."""
    known = admin.list_topics(timeout=5).topics.get(topic)
    return known is not None and sum(p.leader >= 0 for p in known.partitions.values()) == partitions


def open_producer(broker: Server, load: Load, lane: int) -> Producer:
    """A transactional producer of that lane, its older self fenced."""
    producer = Producer(
        {
            "bootstrap.servers": broker.address,
            "transactional.id": f"lane-{load.lanes}-{lane}",
            "transaction.timeout.ms": 10_000,
            **load.producer,
        }
    )
    producer.init_transactions(60)
    return producer


def run_lane(lane: int, producer: Producer, load: Load, topics: Sequence[str]) -> Done:
    """Commit until the time is over. Lanes start spread over the interval, as they are in a worker."""
    payload = random.Random(lane).randbytes(load.size)
    interval = load.interval_ms / 1000
    due = time.perf_counter() + interval * lane / load.lanes
    end = due + WARM_UP_S + load.seconds + 1.0
    commits: list[Commit] = []
    while due < end:
        time.sleep(max(0.0, due - time.perf_counter()))
        try:
            commits.append(transact(lane, producer, load, topics, payload))
        except KafkaException as failure:
            return Done(commits, str(failure.args[0]))
        due = max(due + interval, time.perf_counter())
    return Done(commits)


def transact(lane: int, producer: Producer, load: Load, topics: Sequence[str], payload: bytes) -> Commit:
    begun = time.perf_counter()
    producer.begin_transaction()
    for number in range(load.messages):
        producer.produce(topics[number % len(topics)], value=payload, partition=lane)
    called = time.perf_counter()
    producer.commit_transaction(60)
    ended = time.perf_counter()
    return Commit(ended, ended - begun, ended - called)


def observe(broker: Server, seconds: float) -> tuple[Usage, Usage, dict[str, object]]:
    """What client and broker used once the lanes are warm, and how big the client is in the middle of it."""
    time.sleep(WARM_UP_S)
    before = Usage.read(broker)
    time.sleep(seconds / 2)
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    size: dict[str, object] = {
        "client_threads": int(status["Threads"]),
        "client_rss_mib": int(status["VmRSS"].split()[0]) // 1024,
    }
    time.sleep(seconds / 2)
    return before, Usage.read(broker), size


def described(load: Load, commits: Sequence[Commit], before: Usage, after: Usage) -> dict[str, object]:
    wall, client, broker = after.at - before.at, after.client - before.client, after.broker - before.broker
    rate = len(commits) / wall
    whole, commit = sorted(c.whole * 1000 for c in commits), sorted(c.commit * 1000 for c in commits)
    return {
        "lanes": load.lanes,
        "interval_ms": load.interval_ms,
        "messages": load.messages,
        "size": load.size,
        "tx_s": round(rate, 1),
        "mb_s": round(rate * load.messages * load.size / 1e6, 1),
        "p50_ms": quantile(whole, 0.5),
        "p99_ms": quantile(whole, 0.99),
        "commit_p50_ms": quantile(commit, 0.5),
        "client_cores": round(client / wall, 2),
        "broker_cores": round(broker / wall, 2),
        "client_ms_per_tx": round(1000 * client / max(1, len(commits)), 2),
        "broker_ms_per_tx": round(1000 * broker / max(1, len(commits)), 2),
    }


def quantile(ordered: Sequence[float], share: float) -> float:
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 1) if ordered else -1.0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lanes", type=int, nargs="+", default=[1, 4, 16, 64])
    parser.add_argument("--interval-ms", type=int, nargs="+", default=[0, 100], help="0 is back to back")
    parser.add_argument("--messages", type=int, default=10, help="of one transaction")
    parser.add_argument("--size", type=int, default=20_000, help="bytes of a message")
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--producer", nargs="*", default=[], metavar="KEY=VALUE", help="librdkafka settings")
    parser.add_argument("--broker", nargs="*", default=[], metavar="KEY=VALUE", help="server.properties")
    parser.add_argument("--kafka-defaults", action="store_true", help="the broker as Kafka sets it")
    return parser.parse_args()


def main() -> None:
    chosen = arguments()
    producer = dict(setting.split("=", 1) for setting in chosen.producer)
    settings = {**(KAFKA_DEFAULTS if chosen.kafka_defaults else {}), **dict(s.split("=", 1) for s in chosen.broker)}
    with tempfile.TemporaryDirectory() as folder, apache_kafka(Path(folder), settings=settings) as broker:
        measure(broker, Load(8, 0, chosen.messages, 2_000, 8.0, {}))  # the broker's Java compiles what it runs often
        for interval in chosen.interval_ms:
            for lanes in chosen.lanes:
                load = Load(lanes, interval, chosen.messages, chosen.size, chosen.seconds, producer)
                print(json.dumps(measure(broker, load)), flush=True)


if __name__ == "__main__":
    main()
