"""The commands against databases: the embedded one in its folder, and the one that another process owns."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from sinks.memory import MemorySink
from sinks.serve import query_server
from sinks.sink import Answer
from streams.cli.main import main
from streams.settings import read_settings


@pytest.fixture
def data(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty data folder with a short name, since a socket comes into it; the settings name it."""
    folder = tmp_path_factory.mktemp("d")
    monkeypatch.setenv("SIYU_DATA", str(folder))
    return folder


def siyu(*words: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own: chDB holds one folder per process."""
    return subprocess.run([sys.executable, "-m", "streams.cli", *words], capture_output=True, text=True, check=False)


def answered(*words: str) -> list[dict[str, Any]]:
    done = siyu(*words, "--json")
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_migrations_are_planned_applied_and_then_stand(data: Path) -> None:
    planned = answered("migrate", "plan")
    assert planned
    assert {one["state"] for one in planned} == {"pending"}
    assert [one["name"] for one in answered("migrate", "apply")] == [one["name"] for one in planned]
    assert {one["state"] for one in answered("migrate", "status")} == {"applied"}
    assert siyu("migrate", "apply").stdout == "there is nothing to do\n"


def test_the_folder_is_asked_where_nobody_owns_it(data: Path) -> None:
    answered("migrate", "apply")
    assert answered("query", "SELECT count() AS events, '券' AS b FROM siyu.events") == [{"events": 0, "b": "券"}]


@pytest.mark.parametrize(
    "sql", ["DROP TABLE siyu.events", "SELECT 1; SELECT 2", "SELEC 1", "SELECT 1 INTO OUTFILE 'a'"]
)
def test_what_only_reads_is_all_that_is_answered(data: Path, sql: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["query", sql]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_bad_sql_is_one_sentence_of_the_engine(data: Path) -> None:
    answered("migrate", "apply")
    done = siyu("query", "SELECT nonsense FROM siyu.events")
    assert done.returncode == 1
    assert "nonsense" in done.stderr
    assert done.stderr.startswith("siyu: ")
    assert done.stderr.count("\n") == 1


def test_asking_makes_no_database(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["query", "SELECT 1"]) == 1
    assert "there is no database" in capsys.readouterr().err
    assert not os.listdir(data)


class Owner(MemorySink):
    """A database that another process would own."""

    version = (26, 9)

    def execute(self, sql: str) -> None:
        raise AssertionError(sql)

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> Answer:
        """Always the same answer."""
        return Answer(("rule", "n"), (("unpaid-order-coupon", 3),))


def test_the_owner_of_the_database_is_asked(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with query_server(Owner(), read_settings(None).query_socket):
        assert main(["query", "SELECT rule, n FROM siyu.triggers", "--json"]) == 0
        assert json.loads(capsys.readouterr().out) == {"rule": "unpaid-order-coupon", "n": 3}
        assert main(["query", "SELECT rule, n FROM siyu.triggers"]) == 0
        assert [line.split() for line in capsys.readouterr().out.splitlines()][-1] == ["unpaid-order-coupon", "3"]


def test_a_server_that_is_away_is_one_sentence(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SIYU_SINK__URL", "clickhouse://127.0.0.1:1")
    for words in (["query", "SELECT 1"], ["migrate", "plan"]):
        assert main(words) == 1
        assert capsys.readouterr().err.startswith("siyu: ClickHouse at 127.0.0.1:1")


def test_who_stands_where_in_a_journey_is_told_from_the_facts(data: Path, tmp_path: Path) -> None:
    least = {"touchpoint": "app", "tenant": "acme", "event_time": 1_700_000_000_000}
    told = [
        least | {"event_id": f"e{n}", "event_type": kind, "identities": [{"kind": "phone", "value": f"1391234000{n}"}]}
        for n, kind in enumerate(("register", "register", "order_paid"))
    ]
    told[2]["identities"] = told[1]["identities"]
    (tmp_path / "events.jsonl").write_text("".join(json.dumps(one) + "\n" for one in told))
    rule = Path(__file__).parents[2] / "deploy" / "rules" / "newcomer-gift.yaml"
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / rule.name).write_text(rule.read_text())
    words = ("--events", str(tmp_path / "events.jsonl"), "--rules", str(tmp_path / "rules"), "--out", str(data))
    done = siyu("backtest", *words, "--settle", "2")
    assert done.returncode == 0, done.stderr
    (step,) = answered("journeys", "steps", "--tenant", "acme")
    assert (step["rule"], step["step"], step["persons"]) == ("newcomer-gift", "claim", 1)
    (inside,) = answered("journeys", "show", "--rule", "newcomer-gift", "--step", "claim")
    assert len(answered("journeys", "show", "--left")) == 2
    path = answered("journeys", "path", "--person", inside["one_id"])
    assert [(one["step"], one["why"]) for one in path] == [
        ("settle", "entered"),
        ("gift", "timeout"),
        ("claim", "sent"),
    ]
