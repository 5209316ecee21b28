"""`siyu replay` where the database is embedded: the process that owns it does it, asked over the query socket."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from sinks.serve import ask, command
from sinks.sink import Answer, SinkUnavailable
from streams.cli.main import main
from streams.settings import Ingest, Kafka, Settings, Sink, to_environment
from streams.worker import stack
from streams.worker.asked import request
from streams.worker.replay import Span
from streams.worker.servers import Server
from tests.chaos.aftermath import Aftermath
from tests.integration.patience import until

EVENTS = 300


@dataclass(frozen=True)
class Socket:
    """The database of a running stack."""

    path: Path

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> Answer:
        return ask(self.path, sql)

    def events(self) -> int:
        try:
            return int(self.query("SELECT count() FROM siyu.events").rows[0][0])
        except (SinkUnavailable, ValueError):
            return 0

    def databases(self) -> list[str]:
        return [str(row[0]) for row in self.query("SHOW DATABASES").rows if str(row[0]).startswith("siyu_")]


@pytest.fixture
def up(tansu: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """`siyu up`, which runs; its settings are those of the environment."""
    own = Settings(
        data=tmp_path,
        tenants=("t1",),
        salt=SecretStr("a salt of the tests"),
        kafka=Kafka(shards=2, raw_partitions=1, transactions=False),
        ingest=Ingest(patience_ms=200),
        sink=Sink(url=f"chdb://{tmp_path / 'chdb'}", block_ms=200, block_rows=50),
    )
    environment = {**os.environ, **to_environment(own)}
    running = subprocess.Popen([*stack.COMMAND, "up"], env=environment, stdout=subprocess.PIPE, text=True)
    try:
        settings = _settings(own, _bootstrap(running))
        for name, value in to_environment(settings).items():
            monkeypatch.setenv(name, value)
        yield settings
        running.send_signal(signal.SIGINT)
        assert running.wait(40) == 130
    finally:
        running.kill()
        running.communicate()


def _bootstrap(running: subprocess.Popen[str]) -> str:
    """What it tells, when all of it runs."""
    assert running.stdout is not None
    told = []
    while line := running.stdout.readline():
        told.append(line)
        if line.startswith("Ctrl-C"):
            return told[0].split()[1]
    raise AssertionError("".join(told))


def _settings(own: Settings, bootstrap: str) -> Settings:
    return own.model_copy(update={"kafka": own.kafka.model_copy(update={"bootstrap": bootstrap})})


def publish(settings: Settings, first: int) -> None:
    """So many events more, of some persons."""
    lines = [
        {
            "event_id": f"e{number}",
            "tenant": "t1",
            "event_type": "page_view",
            "event_time": 1_700_000_000_000 + 1000 * number,
            "touchpoint": "app",
            "identities": [
                {"kind": "phone", "value": f"138{number % 40:08d}"},
                {"kind": "uid", "value": f"u{number % 70}"},
            ],
        }
        for number in range(first, first + EVENTS)
    ]
    file = settings.data / "events.jsonl"
    file.write_text("\n".join(map(json.dumps, lines)))
    assert main(["publish", str(file), "--source", "app"]) == 0


def test_the_owner_rebuilds_the_facts_while_it_goes_on_writing_them(
    up: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    database = Socket(up.query_socket)
    publish(up, 0)
    until(lambda: database.events() == EVENTS, "the first events are stored")
    given_up = command(up.query_socket, "replay", request(Span(), dry=False))
    while "progress" not in next(given_up):
        pass
    given_up.close()
    publish(up, EVENTS)
    capsys.readouterr()
    until(lambda: main(["replay", "--json"]) == 0, "it is noticed that nobody listens to the first replay any more")
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (swapped,) = (line["swapped"] for line in told if "swapped" in line)
    assert swapped["rows"]["events"] >= EVENTS
    publish(up, 2 * EVENTS)
    until(lambda: database.events() == 3 * EVENTS, "all events are stored")
    differences = Aftermath(up, tmp_path).facts_of(database)
    assert set(differences.values()) == {(0, 0)}, differences
    assert database.databases() == []
    capsys.readouterr()
    assert main(["replay", "--shard", "5"]) == 1
    assert capsys.readouterr().err == "siyu: there is no shard 5: there are 0 to 1\n"
