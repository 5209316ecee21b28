"""The whole stack on one machine: broker, topics, rules, one process per worker; for the demo, `siyu up` and tests.

In: settings, rule files. Out: a running stack, and its metrics. Never: a process left behind, a port open to others.
"""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka import Producer
from prometheus_client.parser import text_string_to_metric_families

from streams.settings import Settings, to_environment
from streams.topics import ENTRY_SUBJECTS, HEARTBEAT, raw_topics
from streams.worker.clients import producer_config, registry_of
from streams.worker.control import await_control, publish_control, publish_sources
from streams.worker.servers.process import free_ports
from streams.worker.topics import create

ROLES = ("ingest", "engine", "sink")
COMMAND = (sys.executable, "-m", "streams.cli.main")
_MARGIN_S = 5.0


class WorkerEnded(Exception):
    """A worker ended by itself; the message names it, its exit code, and the last lines of its log."""


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker process; `log` is the file with everything that it printed."""

    role: str
    process: subprocess.Popen[bytes]
    port: int
    log: Path

    def check(self) -> None:
        """Raises WorkerEnded if it is not running."""
        code = self.process.poll()
        if code is not None:
            tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-12:])
            raise WorkerEnded(f"the {self.role} worker ended with exit code {code}; the end of {self.log}:\n{tail}")

    def page(self, path: str) -> tuple[int, str]:
        """Status and text of a page, such as `/ready`; status 0 where nobody answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except (OSError, http.client.HTTPException):
            return 0, ""

    def metrics(self) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
        """What it measures now, by name and sorted labels; nothing while it starts."""
        families = text_string_to_metric_families(self.page("/metrics")[1])
        return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}


@contextmanager
def workers(settings: Settings, roles: Sequence[str], logs: Path) -> Iterator[list[Worker]]:
    """One process for each of these roles; they are ended when the block ends, also by a second Ctrl-C."""
    logs.mkdir(parents=True, exist_ok=True)
    started: list[Worker] = []
    try:
        for number, (role, port) in enumerate(zip(roles, free_ports(len(roles)), strict=True)):
            started.append(start_worker(settings, role, port, logs / f"{number}-{role}.log"))
        yield started
    finally:
        _end([worker.process for worker in started], settings.worker.shutdown_s + _MARGIN_S)


def start_worker(
    settings: Settings, role: str, port: int, log: Path, siyu: Sequence[str] = COMMAND, **variables: str
) -> Worker:
    """A worker process of this role, with its pages at this port; `siyu` is what runs our commands."""
    own = settings.model_copy(update={"metrics_port": port})
    environment = {**os.environ, **to_environment(own), **variables}
    command = [*_dies_with_us(), *siyu, "worker", role]
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    return Worker(role, process, port, log)


def _dies_with_us() -> list[str]:
    """What ends a worker when its parent is killed, where the system can (Linux)."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "TERM", "--"] if setpriv else []


def _end(processes: Sequence[subprocess.Popen[bytes]], within_s: float) -> None:
    """Asks all to end, then waits; whoever takes too long is killed, and loses nothing by it.

    An exception while it waits, as a second Ctrl-C raises it, kills those that are left at once.
    """
    try:
        for process in processes:
            process.send_signal(signal.SIGTERM)  # does nothing to one that has ended
        gives_up = time.monotonic() + within_s
        for process in processes:
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.1, gives_up - time.monotonic()))
    finally:
        for process in processes:
            process.kill()
        for process in processes:
            process.wait()


def prepare(settings: Settings, rules: Sequence[Path], since_ms: int | None = None) -> list[str]:
    """Topics, the source set and the rules (for all tenants); answers the control ids. Ingest may start later.

    `since_ms`: the instant at which simulated time begins; a heartbeat says so on every raw partition.
    """
    create(settings)
    producer = Producer(producer_config(settings.kafka))
    registry = registry_of(settings)
    ids = [publish_sources(settings, producer, registry, time_ms=since_ms)]
    for path in rules:
        text = path.read_text(encoding="utf-8")
        ids.append(publish_control(producer, registry, kind="rules", name=path.stem, text=text, time_ms=since_ms))
    if since_ms is not None:
        _begin(producer, settings, since_ms + 1)
    return ids


def _begin(producer: Producer, settings: Settings, time_ms: int) -> None:
    for topic in raw_topics(settings):
        for partition in range(1 if topic in ENTRY_SUBJECTS else settings.kafka.raw_partitions):
            producer.produce(topic, partition=partition, timestamp=time_ms, headers=[(HEARTBEAT, b"")])
    producer.flush()


def await_controls(settings: Settings, ids: Sequence[str], running: Sequence[Worker], within_s: float = 60.0) -> None:
    """Waits until all of them stand in the journal of every shard.

    Raises:
        WorkerEnded: a worker ended meanwhile.
        NotAnswered: they did not come within the time.
    """
    gives_up = time.monotonic() + within_s
    for control_id in ids:
        for worker in running:
            worker.check()
        await_control(settings, control_id, since={}, within_s=max(1.0, gives_up - time.monotonic()))


def progress_ms(workers: Sequence[Worker], shards: int) -> int:
    """How far these workers are with all shards, in simulated milliseconds; 0 while one has not begun."""
    reached: dict[str, float] = {}
    for worker in workers:
        for (name, labels), value in worker.metrics().items():
            if name == "siyu_progress_timestamp_seconds":
                shard = dict(labels)["shard"]
                reached[shard] = max(value, reached.get(shard, 0.0))
    return round(min(reached.values()) * 1000) if len(reached) == shards else 0
