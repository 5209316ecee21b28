"""Each bench that needs no server runs, and tells what is quoted of it; the others can be asked what they take."""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

import pytest

from bench import __main__ as every
from bench import bench_decode, bench_ids, bench_sink
from streams.worker.servers import ServerUnavailable

Told = list[dict[str, Any]]
Ran = Callable[..., Told]
NEED_SERVERS = {"backlog", "pipeline", "recovery", "transactions"}
SMOKED = {"decode", "identity", "ids", "returning", "sink", "stages", "timers", "views"}
AN_EVENT = {"events", "events_per_second", "cpu_us_per_event"}


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ran:
    """Runs a bench in this process, whose garbage is collected as before; its lines."""
    monkeypatch.setattr(gc, "disable", lambda: None)
    monkeypatch.setattr(gc, "freeze", lambda: None)

    def run(name: str, *words: str) -> Told:
        monkeypatch.setattr(sys, "argv", [f"bench_{name}", *words])
        import_module(f"bench.bench_{name}").main()
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return run


def test_no_bench_is_left_out() -> None:
    there = {path.stem.removeprefix("bench_") for path in Path(every.__file__).parent.glob("bench_*.py")}
    assert there == NEED_SERVERS | SMOKED
    assert set(every.BENCHES) <= there


@pytest.mark.parametrize("name", sorted((NEED_SERVERS | SMOKED) - {"decode"}))
def test_a_bench_says_what_it_takes(ran: Ran, capsys: pytest.CaptureFixture[str], name: str) -> None:
    with pytest.raises(SystemExit) as ended:
        ran(name, "--help")
    assert ended.value.code == 0
    assert f"usage: bench_{name}" in capsys.readouterr().out


def test_decode(ran: Ran, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_decode, "_RUNS", 1)
    monkeypatch.setattr(bench_decode, "_AT_LEAST_S", 0.001)
    batch, *told = ran("decode")
    assert batch["bytes_per_event"] > 100
    assert all(line.keys() == {"what", "events_per_s", "cpu_us_per_event"} for line in told)
    assert {"fastavro to records", "ours: decode"} <= {line["what"] for line in told}


def test_stages(ran: Ran) -> None:
    told = ran("stages", "--people", "10")
    named = ["align", "ingest", "journal_encode", "journal_decode", "engine", "changelog_pack", "store_commit"]
    assert [line["bench"] for line in told] == [*named, "resolved_encode", "resolved_decode"]
    assert all(line.keys() >= AN_EVENT and line["events"] > 0 for line in told)


def test_identity(ran: Ran) -> None:
    (told,) = ran("identity", "--people", "60")
    assert told.keys() >= {"precision", "recall_of_evidence", "without_breaker", "union_find", "held", "refused"}
    assert float(told["precision"]) > float(told["union_find"][0])


def _small_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_ASKED", "_EVENTS", "_NEW"):
        monkeypatch.setattr(bench_ids, name, 1_000)


@pytest.mark.parametrize("flags", [(), ("--restored",)])
def test_ids(ran: Ran, monkeypatch: pytest.MonkeyPatch, flags: tuple[str, ...]) -> None:
    _small_ids(monkeypatch)
    (told,) = ran("ids", "--one", "600", *flags)
    made = "restored_per_second" if flags else "learned_per_second"
    assert told.keys() >= {"ids", "bytes_per_id", made, "resolved_alone_per_second", "resolved_usual_per_second"}
    assert told["ids"] == 600


def test_ids_in_the_dedup_window(ran: Ran, monkeypatch: pytest.MonkeyPatch) -> None:
    _small_ids(monkeypatch)
    (told,) = ran("ids", "--one", "0")
    assert told.keys() == {"bench", "bytes_per_event"}


def test_ids_in_a_store(ran: Ran, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _small_ids(monkeypatch)
    store = ("--one", "6000", "--store", str(tmp_path / "store"))
    (filled,) = ran("ids", *store)
    assert filled.keys() == {"bench", "ids", "seconds"}
    (told,) = ran("ids", *store, "--stored", "100")
    assert told.keys() >= {"disk_bytes_per_id", "opened_s", "resident_mib", "learned_per_second"}


@pytest.mark.parametrize("memory_rows", ["0", "100"])
def test_returning(ran: Ran, tmp_path: Path, memory_rows: str) -> None:
    words = ("600", "--beside", "60", "--people", "20", "--stored", memory_rows, "--store", str(tmp_path))
    about, *told = ran("returning", *words)
    assert about.keys() == {"bench", "other_ids", "beside", "memory_rows", "resident_gib"}
    assert [line["what"] for line in told] == ["resolve", "engine"]
    assert all(line.keys() >= {"events_per_second", "baseline_per_second", "kept"} for line in told)
    assert (tmp_path / "of-600").exists() == (memory_rows != "0")


def test_timers(ran: Ran, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    told = ran("timers", "--timers", "200", "--seconds", "1", "--rate", "200")
    assert [line["waits"] for line in told] == [100, 200]
    keys = {"decided", "due_to_decided_s_p50", "due_to_decided_s_p99", "events_per_second", "cpu_us_per_event"}
    assert all(line.keys() >= keys | {"bytes_per_wait", "bytes_per_person", "fill_s"} for line in told)
    assert all(line["decided"] == 100 for line in told)


def _cannot_run(folder: Path) -> NoReturn:
    raise ServerUnavailable(f"no server in {folder.name}: this is a test of the bench")


def test_sink(ran: Ran, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_sink, "clickhouse_server", _cannot_run)
    told = ran("sink", "--blocks", "1", "--block-rows", "20", "--frame-rows", "10")
    assert [line.keys() for line in told[3:]] == [{"skipped"}] * 2
    assert [(line["sink"], line["what"]) for line in told[:3]] == [
        *(("memory", "block writer"), ("chdb", "bare insert"), ("chdb", "block writer")),
    ]
    figures = {"rows", "block_rows", "rows_per_s", "own_cpu_us_per_row", "server_cpu_us_per_row"}
    assert all(line.keys() >= figures and line["rows"] == 20 for line in told[:3])


def test_a_block_that_holds_no_frame_is_one_sentence(ran: Ran, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        ran("sink", "--block-rows", "10", "--frame-rows", "20")
    assert ended.value.code == 2
    assert "a block of 10 rows holds no frame of 20: raise --block-rows" in capsys.readouterr().err


def test_views(ran: Ran) -> None:
    filled, *told = ran("views", "--database", "embedded", "--facts", "2000", "--persons", "100", "--moved", "0.5")
    assert filled.keys() >= {"facts", "persons", "moved_nodes", "seconds"}
    assert filled["facts"] == 2_000
    assert all(line.keys() >= {"question", "floor_s", "now_s", "now_to_floor"} for line in told)
    assert len(told) == 5
