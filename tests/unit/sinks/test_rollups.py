"""Sums of a block: every event in its own minute, money without what is missing."""

from __future__ import annotations

from typing import Any

from sinks.rollups import touchpoint_minutes
from tests.unit.sinks.resolved import rows_of


def event(ms: int, fen: int | None, place: str = "app") -> dict[str, Any]:
    return {"tenant": "t", "event_type": "view", "touchpoint": place, "event_time_ms": ms, "amount_fen": fen}


def test_events_of_a_minute_and_touchpoint_are_added_up() -> None:
    given = [event(60_000, 5), event(119_999, None), event(120_000, 7), event(60_000, 1, "h5")]
    sums = touchpoint_minutes(rows_of("events", *given)).to_pylist()
    found = sorted((row["minute_ms"], row["touchpoint"], row["events"], row["amount_fen"]) for row in sums)
    assert found == [(60_000, "app", 2, 5), (60_000, "h5", 1, 1), (120_000, "app", 1, 7)]


def test_no_events_have_no_sums() -> None:
    assert touchpoint_minutes(rows_of("events")).num_rows == 0
