"""SQL that we write, and what errors are to us."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from sinks import statements
from sinks.sink import SinkUnavailable


@pytest.mark.parametrize(
    ("value", "sql"),
    [
        (None, "NULL"),
        (True, "1"),
        (-3, "-3"),
        (0.5, "0.5"),
        ("it's \\", "'it\\'s \\\\'"),
        (["a", 1], "('a', 1)"),
    ],
)
def test_a_value_is_written_so_that_it_cannot_end_its_literal(value: Any, sql: str) -> None:
    assert statements.literal(value) == sql


@pytest.mark.parametrize("value", [[], object(), float("nan"), b"x"])
def test_a_value_without_a_plain_form_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="cannot be written"):
        statements.literal(value)


def test_a_condition_needs_a_column() -> None:
    assert statements.condition({"shard": 1, "state": "a'b"}) == "shard = 1 AND state = 'a\\'b'"
    with pytest.raises(ValueError, match="at least one"):
        statements.condition({})


def test_what_a_driver_gives_becomes_json() -> None:
    moment = datetime(2024, 6, 10, 9, 43, tzinfo=UTC)
    assert statements.plain(moment) == "2024-06-10 09:43:00"
    assert statements.plain([date(2024, 6, 10), Decimal("1.5"), float("inf"), (1, b"a")]) == [
        "2024-06-10",
        1.5,
        None,
        [1, "a"],
    ]


@pytest.mark.parametrize("code", [164, 242, 252, 210, 516, 243])
def test_away_read_only_and_too_many_parts_mean_wait(code: int) -> None:
    error = statements.failure(f"Code: {code}. DB::Exception: no. Stack trace:\n0. secret frames")
    assert isinstance(error, SinkUnavailable)
    assert "frames" not in str(error)


def test_everything_else_is_our_fault() -> None:
    assert isinstance(statements.failure("Code: 62. DB::Exception: Syntax error"), ValueError)
    assert isinstance(statements.failure("no code at all"), ValueError)
    assert isinstance(statements.failure("Code: 62 inside", code=252), SinkUnavailable)
