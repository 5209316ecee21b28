"""What an explanation asks the database, on chDB and on a real ClickHouse: merges, journeys, steps, late sources."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from schemas.frames import Resolved
from sinks.sink import Database
from sinks.writer import BlockWriter
from streams.cli.failure import Failure
from streams.cli.stored import Stored
from streams.explain.journey import Moved
from streams.settings import Settings
from tests.unit.sinks.opened import DATABASES, migrated_database
from tests.unit.sinks.resolved import START_MS, rows_of

TENANT = {"tenant": "t"}


@pytest.fixture(params=DATABASES)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    with migrated_database(request, tmp_path) as opened:
        yield opened


@pytest.fixture
def stored(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stored:
    """The questions of an explanation, put to this database."""
    monkeypatch.setattr("streams.cli.stored.answer_of", lambda sql, settings: database.query(sql))
    return Stored(Settings(data=tmp_path), "t")


def write(database: Database, **tables: list[dict[str, Any]]) -> None:
    frames = [Resolved(0, at, 0, {name: rows_of(name, *rows)}) for at, (name, rows) in enumerate(tables.items())]
    BlockWriter(database, 0).write(frames)


def known(node: str, one_id: str, seq: int) -> dict[str, Any]:
    return TENANT | {"node": node, "kind": "phone", "value": f"+86139****{node}", "one_id": one_id, "seq": seq}


def decision(trigger_id: str, at: int, **more: Any) -> dict[str, Any]:
    times = {"due_time_ms": START_MS, "decided_time_ms": START_MS + at}
    said = {"trigger_id": trigger_id, "rule": "gift", "rule_version": 2, "node": "b", "one_id": "B", "verdict": "sent"}
    return TENANT | said | {"reason": "matched", "cause": "e1"} | times | more


def test_a_trigger_of_somebody_who_became_one_with_another_is_of_both(database: Database, stored: Stored) -> None:
    sent = {"rule": "gift", "channel": "sms", "recipient_kind": "phone", "fired_time_ms": START_MS}
    sends = [TENANT | sent | {"trigger_id": one, "node": one} for one in "ab"]
    mapped = [known("a", "A", 1), known("b", "B", 2), known("b", "A", 3)]
    moved = [TENANT | {"node": "b", "was": "B", "one_id": "A", "seq": 3}]
    failed = [TENANT | {"trigger_id": "a", "status": "failed", "event_time_ms": START_MS}]
    write(
        database,
        identity_map=mapped,
        identity_moves=moved,
        decisions=[decision("b", 1)],
        triggers=sends,
        deliveries=failed,
    )
    found = stored.trigger("b")
    one_id = stored.today(found["node"], found["one_id"])
    assert (found["one_id"], one_id) == ("B", "A")
    ids = stored.ids(one_id)
    assert sorted(ids) == ["a", "b"]
    assert {(one.trigger_id, one.failed) for one in stored.sends(list(ids))} == {("a", True), ("b", False)}
    with pytest.raises(Failure, match="no decision has trigger_id c"):
        stored.trigger("c")


def test_decisions_come_with_their_step_and_the_sources_that_were_late(database: Database, stored: Stored) -> None:
    late = decision("y", 2, step="gift/fallback-1", verdict="suppressed", late_sources="order,pos")
    write(database, decisions=[decision("x", 1, step="gift"), late, decision("z", 3, rule="other")])
    told = stored.decisions("gift", ["a", "b"], "")
    assert [(one.step, one.verdict, one.late_sources) for one in told] == [
        ("gift", "sent", ()),
        ("gift/fallback-1", "suppressed", ("order", "pos")),
    ]
    assert stored.decisions("gift", [], "") == []


def test_the_moves_of_all_runs_of_these_ids_are_told_in_their_order(database: Database, stored: Stored) -> None:
    def move(seq: int, run: str, step: str, why: str) -> dict[str, Any]:
        node, entered = ("a", START_MS) if run == "r1" else ("b", START_MS + 1)
        times = {"entered_ms": entered, "since_ms": START_MS + seq, "moved_time_ms": START_MS + seq, "seq": seq}
        return TENANT | times | {"rule": "gift", "rule_version": 1, "run": run, "node": node, "step": step, "why": why}

    moves = [
        move(1, "r1", "settle", "entered"),
        move(2, "r2", "settle", "entered"),
        move(3, "r2", "claim", "waited"),
        move(4, "r1", "", "merged"),
    ]
    write(database, journey_moves=moves)
    assert [(one.run, one.step) for one in stored.moves("gift", ["a", "b"])] == [
        ("r1", "settle"),
        ("r2", "settle"),
        ("r2", "claim"),
        ("r1", ""),
    ]
    assert stored.moves("gift", ["a"])[-1] == Moved("r1", 1, START_MS, "", "merged", START_MS + 4)
    assert stored.moves("gift", ["c"]) == stored.moves("other", ["a"]) == stored.moves("gift", []) == []


def test_the_first_answer_to_a_message_is_told_and_none_of_it_where_it_was_redeemed(
    database: Database, stored: Stored
) -> None:
    reports = (("a", "opened", 5), ("a", "clicked", 9), ("b", "redeemed", 6), ("b", "opened", 7), ("c", "sent", 8))
    told = [
        TENANT | {"trigger_id": one, "status": status, "event_time_ms": at, "detail": ""} for one, status, at in reports
    ]
    sent = {"rule": "gift", "channel": "sms", "recipient_kind": "phone", "fired_time_ms": START_MS, "node": "a"}
    write(database, triggers=[TENANT | sent | {"trigger_id": one} for one in "abc"], deliveries=told)
    answers = {one.trigger_id: (one.answered, one.opened_ms) for one in stored.sends(["a"])}
    assert answers == {"a": (True, 5), "b": (True, 0), "c": (False, 0)}
