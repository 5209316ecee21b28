"""Views of today and of then over many facts after merges and cuts: chDB and a real ClickHouse answer alike."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bench import bench_views
from bench.bench_views import QUESTIONS, asked
from sinks.migrations import runner
from sinks.sink import Answer, Database
from sinks.urls import open_sink
from streams.worker.servers import Server
from tests.house.pages import fences
from tests.unit.sinks.opened import DATABASES, opened_database

FACTS, PERSONS, MOVED = 20_000, 1_000, 0.1


def filled(database: Database) -> Database:
    runner.apply(database)
    bench_views.fill(database, FACTS, PERSONS, MOVED)
    return database


def theirs(database: Database, where: str) -> str:
    """The person that the first of these nodes belongs to."""
    return str(database.query(f"SELECT one_id FROM siyu.identity_moves WHERE {where} ORDER BY seq LIMIT 1").rows[0][0])


def ordered(answer: Answer) -> list[tuple[object, ...]]:
    return sorted(answer.rows, key=repr)


@pytest.fixture(params=DATABASES)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    with opened_database(request, tmp_path) as opened:
        yield filled(opened)


@pytest.mark.servers
def test_every_question_is_answered_alike(clickhouse: Server, tmp_path: Path) -> None:
    with (
        closing(open_sink(f"chdb://{tmp_path}/facts")) as embedded,
        closing(open_sink(f"clickhouse://default@{clickhouse.address}")) as server,
    ):
        server.execute("DROP DATABASE IF EXISTS siyu")
        one_id = theirs(filled(embedded), "1")
        filled(server)
        for ways in QUESTIONS.values():
            for way in (one for one in ways if server.version >= one.needs):
                answers = [ordered(database.query(asked(way, one_id))) for database in (embedded, server)]
                assert answers[0] == answers[1], way
                assert answers[0] or way.way in ("floor", "then"), way


@pytest.mark.parametrize("where", ["node != one_id", "node = one_id"], ids=["merged", "cut off"])
def test_a_path_by_the_nodes_of_today_is_that_of_the_view(database: Database, where: str) -> None:
    """Put as operations.md says it."""
    (told,) = (fence.text for fence in fences("sql") if "argMax(one_id, seq) AS now" in fence.text)
    one_id = theirs(database, where)
    by_nodes = database.query(told.replace("'siyu'", "'t'").replace("8c1978762c7b1a40b83500b8cb362aec", one_id))
    view = next(way for way in QUESTIONS["one person's path"] if way.table == "customer_path")
    assert ordered(by_nodes) == ordered(database.query(asked(view, one_id)))
    assert len({row[0] for row in by_nodes.rows}) > 1


def test_the_view_of_one_path_is_that_of_all_paths_for_this_person_and_tenant_alone(tmp_path: Path) -> None:
    """Only newer servers have it, as the embedded one."""
    ways = {way.table: way for way in QUESTIONS["one person's path"]}
    all_paths, one_path = ways["customer_path"], ways["path_of"]
    with closing(open_sink(f"chdb://{tmp_path}/facts")) as database:
        filled(database)
        for where in ("node != one_id", "node = one_id"):
            one_id = theirs(database, where)
            told = database.query(asked(one_path, one_id)).rows
            assert sorted(told) == sorted(database.query(asked(all_paths, one_id)).rows)
            assert len(told) > 1
            assert not database.query(asked(one_path, one_id).replace("'t'", "'another'")).rows
        for (left,) in database.query("SELECT DISTINCT was FROM siyu.identity_moves ORDER BY was LIMIT 20").rows:
            told = database.query(asked(one_path, left)).rows
            assert sorted(told) == sorted(database.query(asked(all_paths, left)).rows), "of whom a node has left"


def test_views_restate_the_facts_of_those_who_moved_and_no_others(database: Database) -> None:
    moved = "SELECT count() FROM siyu.events WHERE node IN (SELECT node FROM siyu.identity_moves)"
    restated = "SELECT count() FROM siyu.events_now WHERE one_id != one_id_then"
    ((of_moved,),), ((told,),) = database.query(moved).rows, database.query(restated).rows
    assert 0 < told == of_moved < FACTS
