"""A worker starts only on good ground; else it says in one sentence what to mend, with an exit code of its own."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from sinks.embedded import EmbeddedSink
from sinks.migrations import ledger, runner
from streams.settings import Kafka, Registry, Settings, Worker
from streams.topics import JOURNAL
from streams.worker import stack
from streams.worker.clients import admin
from streams.worker.servers import Server
from streams.worker.servers.process import free_ports
from streams.worker.start import EXIT_AWAY, EXIT_REFUSED
from streams.worker.topics import create
from tests.integration.patience import until

ROLES = ("ingest", "engine", "sink")


@pytest.fixture
def settings(tansu: Server, tmp_path: Path) -> Settings:
    """An empty broker, and workers that do not wait for anything to pass."""
    kafka = Kafka(bootstrap=tansu.restart().address, transactions=False, raw_partitions=1, shards=2)
    return Settings(
        data=tmp_path / "data",
        tenants=("t1",),
        sources=("app",),
        salt=SecretStr("s"),
        kafka=kafka,
        worker=Worker(start_within_s=0),
    )


@contextmanager
def started(settings: Settings, role: str) -> Iterator[stack.Worker]:
    """This worker, killed at the end of the block if it still runs."""
    (port,) = free_ports(1)
    settings.data.mkdir(exist_ok=True)
    worker = stack.start_worker(settings, role, port, settings.data.parent / f"{role}.log")
    try:
        yield worker
    finally:
        worker.process.kill()
        worker.process.wait()


def refused(settings: Settings, role: str) -> tuple[int, str]:
    """Exit code and last words of a worker that does not start."""
    with started(settings, role) as worker:
        code = worker.process.wait(60)
    (said,) = [line for line in worker.log.read_text().splitlines() if "does not start" in line]
    return code, said.partition("does not start: ")[2]


def changed(settings: Settings, **groups: Any) -> Settings:
    """The settings with these of a group changed."""
    return settings.model_copy(
        update={group: getattr(settings, group).model_copy(update=update) for group, update in groups.items()}
    )


@pytest.mark.parametrize("role", ROLES)
def test_without_its_topics_a_worker_says_how_to_make_them(settings: Settings, role: str) -> None:
    code, said = refused(settings, role)
    assert code == EXIT_REFUSED
    assert "are missing, such as " in said
    assert said.endswith("`siyu doctor --create` makes them")
    assert list(settings.data.iterdir()) == []


@pytest.mark.parametrize("role", ROLES)
def test_topics_with_other_partitions_than_settings_want_are_refused_at_once(settings: Settings, role: str) -> None:
    create(settings)
    code, said = refused(changed(settings, kafka={"shards": 3}, worker={"start_within_s": 600}), role)
    assert code == EXIT_REFUSED
    assert f"topic {JOURNAL} has 2 partitions, 3 are wanted: set kafka.shards to 2" in said


@pytest.mark.parametrize("role", ROLES)
def test_a_broker_that_is_away_has_another_code(settings: Settings, role: str) -> None:
    code, said = refused(changed(settings, kafka={"bootstrap": "127.0.0.1:9"}), role)
    assert code == EXIT_AWAY
    assert said == (
        "broker: no broker answers at 127.0.0.1:9: no connection: check kafka.bootstrap and kafka.security_protocol"
    )


def test_a_public_topic_may_have_more_partitions(settings: Settings) -> None:
    create(changed(settings, kafka={"shards": 5}))
    client = admin(settings.kafka)
    internal = [name for name in client.list_topics(timeout=10).topics if name.startswith("siyu.internal.")]
    for deleted in client.delete_topics(internal).values():
        deleted.result()
    create(settings)
    with started(settings, "engine") as engine:
        until(lambda: engine.page("/ready")[0] == 200, "it is ready")


def test_a_worker_waits_for_topics_that_are_in_the_making(settings: Settings) -> None:
    with started(changed(settings, worker={"start_within_s": 600}), "engine") as engine:
        until(lambda: "waits: topics: " in engine.page("/ready")[1], "it waits and says for what")
        assert engine.page("/live")[0] == 200
        create(settings)
        until(lambda: engine.page("/ready")[0] == 200, "it is ready")


def test_a_worker_that_is_told_to_end_while_it_waits_ends_in_order(settings: Settings) -> None:
    with started(changed(settings, worker={"start_within_s": 600}), "engine") as engine:
        until(lambda: "waits: topics: " in engine.page("/ready")[1], "it waits")
        engine.process.terminate()
        assert engine.process.wait(60) == 0


def test_local_state_of_another_format_is_not_opened(settings: Settings) -> None:
    create(settings)
    state = settings.data / "state"
    state.mkdir(parents=True)
    (state / "FORMAT").write_text("99\n")
    code, said = refused(settings, "engine")
    assert code == EXIT_REFUSED
    assert f"state: {state} is of format 99, this siyu reads 1: remove the folder" in said


def test_a_database_of_a_newer_program_is_not_written(settings: Settings) -> None:
    create(settings)
    folder = Path(settings.sink_url.removeprefix("chdb://"))
    folder.parent.mkdir(parents=True)
    database = EmbeddedSink(folder)
    runner.apply(database)
    ledger.note(database, 9999, "9999_later", "checksum")
    database.close()
    code, said = refused(settings, "sink")
    assert code == EXIT_REFUSED
    assert "it has migration 9999, this siyu knows up to 00" in said
    assert "start the siyu that made it, or a newer one" in said


class Empty(BaseHTTPRequestHandler):
    """A schema registry that knows nothing, as Confluent's API says so."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(404)
        self.end_headers()
        self.wfile.write(json.dumps({"error_code": 40401, "message": "Subject not found"}).encode())

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""


@pytest.mark.parametrize(("role", "subject"), [("ingest", "behaviour_event"), ("engine", "identity_change")])
def test_a_registry_without_our_schemas_is_named_with_the_subject(settings: Settings, role: str, subject: str) -> None:
    create(settings)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Empty)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        registry = Registry(url=f"http://127.0.0.1:{server.server_port}")
        code, said = refused(settings.model_copy(update={"registry": registry}), role)
    finally:
        server.shutdown()
        server.server_close()
    assert code == EXIT_REFUSED
    assert f"our newest {subject} is not registered" in said
    assert "`siyu doctor --create` registers it" in said


def test_a_registry_that_is_away_is_waited_for(settings: Settings) -> None:
    create(settings)
    away = settings.model_copy(update={"registry": Registry(url="http://127.0.0.1:9")})
    code, said = refused(away, "engine")
    assert code == EXIT_AWAY
    assert "does not answer" in said
