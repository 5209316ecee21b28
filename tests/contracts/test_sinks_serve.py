"""Questions over the local socket: answered as by the database itself, and nothing but reading."""

from __future__ import annotations

import json
import socket
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from sinks.embedded import EmbeddedSink
from sinks.serve import ask, query_server, refuse_changes
from sinks.sink import SinkUnavailable


@pytest.fixture
def owner(tmp_path: Path) -> Iterator[EmbeddedSink]:
    sink = EmbeddedSink(tmp_path / "facts")
    sink.execute("CREATE DATABASE siyu")
    sink.execute("CREATE TABLE siyu.numbers (n Int64, t String) ENGINE = MergeTree ORDER BY n")
    sink.execute("INSERT INTO siyu.numbers VALUES (1, 'one'), (2, 'zwei 二')")
    yield sink
    sink.close()


@pytest.fixture
def path(owner: EmbeddedSink, tmp_path: Path) -> Iterator[Path]:
    reader = EmbeddedSink(tmp_path / "facts", read_only=True)
    with query_server(reader, tmp_path / "query.sock"):
        yield tmp_path / "query.sock"
    reader.close()


def test_an_answer_is_the_same_as_without_the_socket(owner: EmbeddedSink, path: Path) -> None:
    sql = "SELECT n, t, [n], NULL, toDateTime(n, 'UTC') FROM siyu.numbers ORDER BY n"
    assert ask(path, sql) == owner.query(sql)


@pytest.mark.parametrize("sql", ["SHOW TABLES FROM siyu", "DESCRIBE siyu.numbers", "EXPLAIN SELECT 1", "SELECT 1;"])
def test_reading_statements_are_answered(path: Path, sql: str) -> None:
    assert ask(path, sql).rows


def test_only_the_user_may_open_the_socket_and_it_goes_with_the_server(owner: EmbeddedSink, tmp_path: Path) -> None:
    path = tmp_path / "query.sock"
    with query_server(owner, path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not path.exists()
    with pytest.raises(SinkUnavailable, match="nobody answers"):
        ask(path, "SELECT 1")


def test_a_socket_left_by_a_dead_process_is_taken_and_a_live_one_is_not(owner: EmbeddedSink, tmp_path: Path) -> None:
    path = tmp_path / "query.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    with query_server(owner, path):
        assert ask(path, "SELECT 1").rows == ((1,),)
        with pytest.raises(SinkUnavailable, match="already"), query_server(owner, path):
            pass
        assert ask(path, "SELECT 1").rows == ((1,),)


@pytest.mark.parametrize(
    "sql",
    [
        "DROP TABLE siyu.numbers",
        "INSERT INTO siyu.numbers VALUES (3, 'x')",
        "SELECT 1; DROP TABLE siyu.numbers",
        "SELECT * FROM siyu.numbers INTO OUTFILE '/tmp/out'",
        "SELECT * FROM siyu.numbers INTO /* */ OUTFILE '/tmp/out'",
        "WITH 1 AS x INSERT INTO siyu.numbers SELECT x, ''",
        "-- SELECT\nDROP TABLE siyu.numbers",
        "SET readonly = 0",
        "",
    ],
)
def test_changes_are_refused_before_the_engine_sees_them(sql: str) -> None:
    with pytest.raises(ValueError, match=r"here|one statement"):
        refuse_changes(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 'a; DROP TABLE x'",
        "(SELECT 1) UNION ALL (SELECT 2)",
        "-- why\nselect 1",
        "/* ; */ WITH 1 AS x SELECT x",
        "SELECT 'it''s', 'INTO OUTFILE', `a;b` FROM t -- ;",
    ],
)
def test_reading_is_not_taken_for_a_change(sql: str) -> None:
    refuse_changes(sql)


def test_the_engine_itself_refuses_changes_of_a_reader(owner: EmbeddedSink, tmp_path: Path) -> None:
    reader = EmbeddedSink(tmp_path / "facts", read_only=True)
    for sql in ("DROP TABLE siyu.numbers", "SET readonly = 0", "INSERT INTO siyu.numbers VALUES (3, 'x')"):
        with pytest.raises(SinkUnavailable, match="readonly"):
            reader.execute(sql)
    reader.close()
    assert owner.query("SELECT count() FROM siyu.numbers").rows == ((2,),)


def test_bad_sql_and_bad_requests_get_a_reason_and_the_next_question_an_answer(path: Path) -> None:
    with pytest.raises(ValueError, match="nowhere"):
        ask(path, "SELECT * FROM siyu.nowhere")
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))
        lines = connection.makefile("rwb")
        for request in (b"hello", b"[]", b'{"sql": 1}', b'{"sql": "SELECT 1"}'):
            lines.write(request + b"\n")
        lines.flush()
        replies = [json.loads(lines.readline()) for _ in range(4)]
    assert ["error" in reply for reply in replies] == [True, True, True, False]


def test_many_ask_while_the_owner_inserts(owner: EmbeddedSink, path: Path) -> None:
    counts: list[int] = []
    askers = [threading.Thread(target=lambda: counts.extend(_counts(path))) for _ in range(4)]
    for asker in askers:
        asker.start()
    for number in range(20):
        owner.execute(f"INSERT INTO siyu.numbers VALUES ({number}, '')")
    for asker in askers:
        asker.join()
    assert len(counts) == 40
    assert owner.query("SELECT count() FROM siyu.numbers").rows == ((22,),)


def _counts(path: Path) -> list[int]:
    return [int(ask(path, "SELECT count() FROM siyu.numbers").rows[0][0]) for _ in range(10)]
