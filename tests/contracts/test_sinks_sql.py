"""What `Database` promises, and the tables and views of the migrations, on chDB and on a real ClickHouse."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from schemas.columns import TABLES
from schemas.frames import Resolved
from sinks.migrations import ledger, runner
from sinks.migrations.runner import Migration, MigrationChanged, State
from sinks.sink import Database
from sinks.writer import BlockWriter
from tests.unit.sinks.opened import DATABASES, opened_database
from tests.unit.sinks.resolved import START_MS, frames, rows_of

CLICKHOUSE_TYPES = {pa.string(): "String", pa.int32(): "Int32", pa.int64(): "Int64", pa.binary(): "String"}
ADDED = {"shard": "UInt16", "journal_offset": "UInt64", "block": "UInt64"}


@pytest.fixture(params=DATABASES)
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    with opened_database(request, tmp_path) as opened:
        yield opened


@pytest.fixture
def database(empty: Database) -> Database:
    runner.apply(empty)
    return empty


def columns_of(database: Database, table: str) -> dict[str, str]:
    chosen = "SELECT name, type FROM system.columns WHERE database = 'siyu' AND table = %(table)s"
    return dict(database.query(chosen, {"table": table}).rows)


def rows(database: Database, sql: str) -> list[dict[str, Any]]:
    answer = database.query(sql)
    return [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]


def write(database: Database, *tables: tuple[str, pa.RecordBatch]) -> None:
    BlockWriter(database, 0).write(
        [Resolved(0, offset, 0, {name: batch}) for offset, (name, batch) in enumerate(tables)]
    )


def clickhouse_type(field: pa.Field) -> str:
    plain = CLICKHOUSE_TYPES[field.type]
    return f"Nullable({plain})" if field.nullable and plain != "String" else plain


def test_answers_hold_values_of_json_and_no_others(empty: Database) -> None:
    sql = "SELECT 1, toUInt64(18446744073709551615), -1.5, 'it', NULL, [1, 2], toDate('2024-06-10'), nan, (1, 'a')"
    moment = "toDateTime('2024-06-10 09:43:00', 'UTC')"
    answer = empty.query(f"{sql}, {moment}, toUUID('61f0c404-5cb3-11e7-907b-a6006ad3dba0')")
    expected = (1, 2**64 - 1, -1.5, "it", None, [1, 2], "2024-06-10", None, [1, "a"])
    assert answer.rows == ((*expected, "2024-06-10 09:43:00", "61f0c404-5cb3-11e7-907b-a6006ad3dba0"),)


def test_parameters_come_back_as_they_were(empty: Database) -> None:
    given: dict[str, Any] = {"a": "it's \\ ok\n%", "b": 7, "c": None, "d": -1.25}
    answer = empty.query("SELECT %(a)s AS a, %(b)s AS b, %(c)s AS c, %(d)s AS d", given)
    assert dict(zip(answer.columns, answer.rows[0], strict=True)) == given
    assert empty.query("SELECT 1 IN %(list)s", {"list": [1, 2]}).rows == ((1,),)
    assert empty.query("SELECT 'x' LIKE '%'").rows == ((1,),)


def test_no_rows_still_have_columns(empty: Database) -> None:
    answer = empty.query("SELECT 1 AS one, 'a' AS two WHERE 0")
    assert answer.columns == ("one", "two")
    assert answer.rows == ()


def test_bad_sql_is_our_fault_and_the_next_statement_is_fine(empty: Database) -> None:
    with pytest.raises(ValueError, match="Syntax error"):
        empty.query("SELEC 1")
    with pytest.raises(ValueError, match="nowhere"):
        empty.execute("DROP TABLE default.nowhere")
    assert empty.query("SELECT 1").rows == ((1,),)


def test_a_plan_changes_nothing_and_applying_it_twice_is_harmless(empty: Database) -> None:
    planned = runner.plan(empty)
    assert [step.state for step in runner.status(empty)].count(State.PENDING) == len(planned) > 3
    assert empty.query("SELECT count() FROM system.databases WHERE name = 'siyu'").rows == ((0,),)
    assert runner.apply(empty) == planned
    assert runner.apply(empty) == ()
    assert {step.state for step in runner.status(empty)} <= {State.APPLIED, State.NEEDS_NEWER}


def test_what_needs_a_newer_server_waits_for_one(database: Database) -> None:
    waiting = [step.migration for step in runner.status(database) if step.state is State.NEEDS_NEWER]
    assert bool(waiting) == (database.version < (20, 1))
    assert all(migration.needs > database.version for migration in waiting)


def test_a_migration_cut_off_half_way_is_finished_by_the_next_run(empty: Database) -> None:
    ledger.prepare(empty)
    for migration in runner.plan(empty)[:2]:
        for statement in migration.statements[:-1]:
            empty.execute(statement)
    runner.apply(empty)
    assert set(TABLES) <= {row["name"] for row in rows(empty, "SHOW TABLES FROM siyu")}


def test_a_migration_that_was_changed_after_it_was_applied_stops_everything(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, *others = runner.discover()
    changed = Migration(first.version, first.name, first.sql + "\nSELECT 1;\n")
    monkeypatch.setattr(runner, "discover", lambda: (changed, *others))
    assert runner.status(database)[0].state is State.CHANGED
    with pytest.raises(MigrationChanged, match=first.name):
        runner.apply(database)


@pytest.mark.parametrize("table", TABLES)
def test_a_table_has_the_columns_of_its_schema(database: Database, table: str) -> None:
    found = columns_of(database, table)
    expected = {field.name: clickhouse_type(field) for field in TABLES[table]}
    assert {name: found[name] for name in [*expected, *ADDED]} == {**expected, **ADDED}
    derived = set(found) - set(expected) - set(ADDED)
    assert all(found[name] == "DateTime('UTC')" and f"{name}_ms" in expected for name in derived)


def test_events_now_shows_all_columns_of_events(database: Database) -> None:
    assert set(columns_of(database, "events_now")) == {*columns_of(database, "events"), "one_id_then"}


def test_refused_bytes_are_kept_as_they_came_and_people_are_shown_none_of_them(database: Database) -> None:
    letter = {"reason": "not_framed", "topic": "events.raw.app", "raw_offset": 7, "received_ms": START_MS}
    payloads = [b"\x00\xff phone 13800000001\n", b"", bytes(range(256))]
    write(database, ("deadletters_raw", rows_of("deadletters_raw", *({**letter, "raw": raw} for raw in payloads))))
    found = database.query("SELECT hex(raw), hex(raw_key), schema_id FROM siyu.deadletters_raw ORDER BY length(raw)")
    assert [bytes.fromhex(row[0]) for row in found.rows] == sorted(payloads, key=len)
    assert {row[1:] for row in found.rows} == {("", None)}
    shown = rows(database, "SELECT * FROM siyu.deadletters ORDER BY bytes")
    assert [row["bytes"] for row in shown] == sorted(map(len, payloads))
    assert {(row["reason"], row["raw_offset"], row["received"]) for row in shown} == {
        ("not_framed", 7, "2024-06-10 06:13:20")
    }
    assert not [text for row in shown for text in row.values() if "1380" in str(text)]


def test_a_moment_is_kept_in_milliseconds_and_shown_in_utc_seconds(database: Database) -> None:
    write(database, ("events", rows_of("events", {"event_id": "e", "event_time_ms": 1_718_012_580_999})))
    found = database.query("SELECT event_time_ms, event_time FROM siyu.events").rows
    assert found == ((1_718_012_580_999, "2024-06-10 09:43:00"),)


Rows = tuple[str, pa.RecordBatch]


def mapped(node: str, one_id: str, seq: int, was: str = "") -> list[Rows]:
    """What the engine writes of a node that belongs to this person now."""
    row = {"tenant": "t", "node": node, "kind": "openid", "value": node, "one_id": one_id, "seq": seq}
    moved = {"tenant": "t", "node": node, "was": was, "one_id": one_id, "seq": seq}
    moves = [("identity_moves", rows_of("identity_moves", moved))] if was else []
    return [("identity_map", rows_of("identity_map", row)), *moves]


def test_a_merge_restates_the_past_and_an_unlink_does_it_again(database: Database) -> None:
    def known() -> dict[str, str]:
        return dict(database.query("SELECT event_id, one_id FROM siyu.events_now").rows)

    seen = {"tenant": "t", "event_time_ms": START_MS}
    nodes = [("e1", "a", "A"), ("e2", "b", "B"), ("e3", "episode", "E"), ("e4", "", "")]
    events = [{**seen, "event_id": event, "node": node, "one_id": one} for event, node, one in nodes]
    history = [("events", rows_of("events", *events)), *mapped("a", "A", 1), *mapped("b", "B", 2)]
    write(database, *history)
    assert known() == {"e1": "A", "e2": "B", "e3": "E", "e4": ""}
    history += mapped("b", "A", 3, "B")
    write(database, *history)
    assert known() == {"e1": "A", "e2": "A", "e3": "E", "e4": ""}
    assert rows(database, "SELECT * FROM siyu.persons") == [
        {"tenant": "t", "one_id": "A", "ids": 2, "kinds": ["openid"]}
    ]
    history += mapped("b", "B", 4, "A")
    write(database, *history)
    assert known() == {"e1": "A", "e2": "B", "e3": "E", "e4": ""}
    assert dict(database.query("SELECT event_id, one_id FROM siyu.events").rows)["e2"] == "B"


@pytest.mark.parametrize("facts", ["events", "triggers", "decisions"])
def test_facts_answer_by_today_by_default_and_as_reported_on_request(database: Database, facts: str) -> None:
    """Node b is reported under B, merged into A, reported under A, and cut off again."""
    key = "order_id" if facts == "events" else "business_key"
    written = [rows_of(facts, {"tenant": "t", "node": "b", "one_id": one, key: one}) for one in "BA"]
    merged = [*mapped("b", "B", 1), (facts, written[0]), *mapped("b", "A", 2, "B"), (facts, written[1])]
    asked = f"SELECT {key}, one_id_then, one_id FROM siyu.{facts}_now ORDER BY {key}"
    write(database, *merged)
    assert database.query(asked).rows == (("A", "A", "A"), ("B", "B", "A"))
    write(database, *merged, *mapped("b", "C", 3, "A"))
    assert database.query(asked).rows == (("A", "A", "C"), ("B", "B", "C"))


def test_orders_and_paths_are_told_as_of_today_and_as_of_then(database: Database) -> None:
    event = {"tenant": "t", "event_id": "e", "order_id": "o1", "event_type": "order_paid", "node": "b", "one_id": "B"}
    write(database, ("events", rows_of("events", event)), *mapped("b", "B", 1), *mapped("b", "A", 2, "B"))
    for view, now, then in (("orders", "A", "B"), ("customer_path", "A", "B")):
        assert database.query(f"SELECT one_id FROM siyu.{view}").rows == ((now,),)
        assert database.query(f"SELECT one_id FROM siyu.{view}_then").rows == ((then,),)


def test_a_node_of_a_blocked_value_is_nobody_today(database: Database) -> None:
    event = {"tenant": "t", "event_id": "e1", "node": "a", "one_id": "A"}
    write(database, ("events", rows_of("events", event)), *mapped("a", "A", 1), *mapped("a", "", 9, "A"))
    assert database.query("SELECT one_id, one_id_then FROM siyu.events_now").rows == (("", "A"),)
    assert database.query("SELECT count() FROM siyu.customer_path").rows == ((0,),)


def test_one_customers_path_is_in_time_order_across_touchpoints(database: Database) -> None:
    stations = [("official_account", "follow", 0), ("app", "order_paid", 9), ("miniprogram", "product_view", 2)]
    events = [
        {"tenant": "t", "event_id": kind, "touchpoint": place, "event_type": kind, "node": "a", "one_id": "A"}
        | {"event_time_ms": START_MS + minute * 60_000}
        for place, kind, minute in stations
    ]
    write(database, ("events", rows_of("events", *events)))
    sql = "SELECT event_type FROM siyu.customer_path WHERE tenant = 't' AND one_id = 'A' ORDER BY event_time_ms"
    assert database.query(sql).rows == (("follow",), ("product_view",), ("order_paid",))


def test_where_a_journey_stands_is_its_last_move_and_whose_it_is_today(database: Database) -> None:
    mapped = [{"tenant": "t", "node": "b", "one_id": one_id, "seq": seq} for seq, one_id in enumerate("BA")]
    moves = [
        {
            "tenant": "t",
            "rule": "gift",
            "rule_version": 1,
            "run": run,
            "node": node,
            "one_id": node.upper(),
            "step": step,
        }
        | {"why": why, "entered_ms": START_MS, "since_ms": START_MS + seq, "moved_time_ms": START_MS + seq, "seq": seq}
        for seq, (run, node, step, why) in enumerate(
            (
                ("r1", "a", "settle", "entered"),
                ("r2", "b", "settle", "entered"),
                ("r3", "c", "settle", "entered"),
                ("r1", "a", "claim", "waited"),
                ("r3", "c", "", "exited"),
            )
        )
    ]
    write(
        database,
        ("identity_map", rows_of("identity_map", *mapped)),
        ("journey_moves", rows_of("journey_moves", *moves)),
    )
    standing = database.query(
        "SELECT run, one_id, step, why FROM siyu.journey_now WHERE tenant = 't' ORDER BY run"
    ).rows
    assert standing == (("r1", "A", "claim", "waited"), ("r2", "A", "settle", "entered"), ("r3", "C", "", "exited"))
    counted = database.query(
        "SELECT step, persons, first_since_ms - %(s)s FROM siyu.journey_steps", {"s": START_MS}
    ).rows
    assert sorted(counted) == [("claim", 1, 3), ("settle", 1, 1)]


def test_touchpoint_minute_counts_every_event_once(database: Database) -> None:
    BlockWriter(database, 0).write(frames(4, 25))
    grouped = (
        "SELECT tenant, minute, touchpoint, event_type, {} FROM siyu.{} GROUP BY tenant, minute, touchpoint, event_type"
    )
    facts = grouped.format("count(), sum(ifNull(amount_fen, 0))", "events").replace(
        "minute", "toStartOfMinute(event_time) AS minute", 1
    )
    summed = "SELECT tenant, minute, touchpoint, event_type, events, amount_fen FROM siyu.touchpoint_minute"
    assert sorted(database.query(summed).rows) == sorted(database.query(facts).rows)


def test_an_order_is_one_row_whoever_paid(database: Database) -> None:
    def step(kind: str, minute: int, fen: int | None, who: str) -> dict[str, Any]:
        at = {"event_time_ms": START_MS + minute * 60_000, "event_id": kind}
        return {"tenant": "t", "order_id": "o1", "event_type": kind, "amount_fen": fen, "one_id": who, **at}

    steps = [
        step("order_submitted", 0, 9900, "A"),
        step("order_paid", 5, 9900, "B"),
        step("order_refunded", 9, 500, "B"),
    ]
    write(database, ("events", rows_of("events", *steps)))
    (order,) = rows(database, "SELECT * FROM siyu.orders")
    assert (order["one_id"], order["amount_fen"], order["refunded_fen"]) == ("A", 9900, 500)
    assert (order["submitted_ms"], order["paid_ms"], order["cancelled_ms"]) == (START_MS, START_MS + 300_000, 0)


def test_what_is_held_is_what_the_last_word_of_each_pair_says(database: Database) -> None:
    said = [("p", "", "held", 1), ("p", "q", "held", 2), ("p", "r", "held", 3), ("p", "r", "ended", 4)]
    said += [("x", "y", "held", 5), ("x", "y", "released", 6), ("x", "y", "held", 7)]
    texts = {name: "" for name in TABLES["identity_holds"].names if name not in ("event_time_ms", "seq")}
    rows = [
        {**texts, "tenant": "t", "node_a": a, "node_b": b, "word": word, "event_time_ms": START_MS, "seq": seq}
        for a, b, word, seq in said
    ]
    write(database, ("identity_holds", pa.RecordBatch.from_pylist(rows, schema=TABLES["identity_holds"])))
    found = database.query("SELECT node_a, node_b, seq FROM siyu.identity_held ORDER BY seq").rows
    assert found == (("p", "", 1), ("p", "q", 2), ("x", "y", 7))
