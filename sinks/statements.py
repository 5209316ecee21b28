"""What both ClickHouse sinks say alike, in SQL that 18.16 and today's engine understand.

In: tables, equality conditions, Python values. Out: statements. Never: a connection, an answer's bytes.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sinks.sink import Answer, Database, Guard, SinkUnavailable, Where, Why

MUTATION_PATIENCE_S = 600.0

_POLL_S = 0.02
_CODE = re.compile(r"Code: (\d+)")

# ClickHouse error codes that say "not now" or "not you": waiting or an operator mends them, another statement doesn't.
_CODES = {
    Why.FULL: (243,),
    Why.FILES: (74, 75, 76),
    Why.READ_ONLY: (164, 242),
    Why.REFUSED: (192, 193, 194, 195, 291, 497, 516),
    Why.OVERLOADED: (201, 202, 203, 241, 252),
    Why.SLOW: (159, 160, 209),
    Why.AWAY: (210, 225, 236, 279, 319, 394, 425, 999),
}
_WHY = {code: why for why, codes in _CODES.items() for code in codes}

# A full disk comes under many codes, according to what was being written; the system's own words are in all of them.
_NO_SPACE = re.compile(r"no space left on device|disk quota exceeded", re.IGNORECASE)

# Only while rebuilt tables are swapped in is there no ledger.
_UNKNOWN_TABLE = 60
_LEDGER = re.compile(r"\bsink_blocks\b")


def failure(message: str, code: int | None = None) -> Exception:
    """What a ClickHouse error is to us: `SinkUnavailable` or `ValueError`, with its first line and no stack."""
    found = _CODE.search(message)
    known = code if code is not None else int(found.group(1)) if found else 0
    text = message.split("Stack trace", maxsplit=1)[0].strip().replace("\n", " ")
    why = Why.FULL if _NO_SPACE.search(text) else _WHY.get(known)
    if known == _UNKNOWN_TABLE and _LEDGER.search(text):
        why = Why.SWAPPING
    return ValueError(text) if why is None else SinkUnavailable(text, why)


def render(sql: str, parameters: Mapping[str, Any] | None) -> str:
    """The statement with each `%(name)s` replaced by its value; without parameters a `%` stands for itself."""
    if not parameters:
        return sql
    return sql % {name: literal(value) for name, value in parameters.items()}


def literal(value: Any) -> str:
    """A Python value as SQL. Raises ValueError for a type that has no plain SQL form."""
    if value is None:
        return "NULL"
    if isinstance(value, bool | int):
        return str(int(value))
    if isinstance(value, float) and math.isfinite(value):
        return repr(value)
    if isinstance(value, str):
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    if isinstance(value, list | tuple) and value:
        return "(" + ", ".join(literal(item) for item in value) + ")"
    raise ValueError(f"a parameter of type {type(value).__name__} cannot be written as SQL")


def plain(value: Any) -> Any:
    """A value that a driver gave, as JSON has it (see `Answer`)."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float | Decimal):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    return _text(value)


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        return value.replace(tzinfo=None).isoformat(" ")
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return value.isoformat() if isinstance(value, date) else str(value)


def parse_version(text: str) -> tuple[int, ...]:
    """`18.16.1` as (18, 16, 1)."""
    return tuple(int(part) for part in text.split(".") if part.isdigit())


def condition(where: Where) -> str:
    """`a = 1 AND b IN ('x', 'y')`; raises ValueError without any column, since that would mean every row."""
    if not where:
        raise ValueError("a condition needs at least one column")
    return " AND ".join(f"{column} {_is(value)} {literal(value)}" for column, value in where.items())


def _is(value: object) -> str:
    return "IN" if isinstance(value, tuple) else "="


def guarded(database: Database, guard: Guard) -> str:
    """A guard as a condition: one value, which the server computes before it takes a row."""
    return f"({greatest(database, guard)}) = {literal(guard.value)}"


def greatest(database: Database, guard: Guard) -> str:
    """What a guard looks at, as a query."""
    return f"SELECT max({guard.by}) FROM {database.name}.{guard.table} WHERE {condition(guard.where)}"


def count(database: Database, table: str, where: Where) -> int:
    """`Sink.count` by SQL."""
    answer = database.query(f"SELECT count() FROM {database.name}.{table} WHERE {condition(where)}")
    return int(answer.rows[0][0])


def tally(database: Database, table: str, column: str, where: Where) -> dict[Any, int]:
    """`Sink.tally` by SQL."""
    chosen = f"FROM {database.name}.{table} WHERE {condition(where)}"
    return {
        value: int(rows) for value, rows in database.query(f"SELECT {column}, count() {chosen} GROUP BY {column}").rows
    }


def last(database: Database, table: str, by: str, where: Where) -> dict[str, Any] | None:
    """`Sink.last` by SQL: the greatest `by` first, which reads one column, then its row by the key."""
    chosen = f"FROM {database.name}.{table} WHERE {condition(where)}"
    found, greatest = database.query(f"SELECT count(), max({by}) {chosen}").rows[0]
    if not found:
        return None
    answer = database.query(f"SELECT * {chosen} AND {by} = {literal(greatest)} LIMIT 1")
    return dict(zip(answer.columns, answer.rows[0], strict=True))


def remove(database: Database, table: str, where: Where) -> None:
    """`Sink.remove` by SQL: a mutation, awaited by looking, since 18.16 cannot wait itself."""
    if not count(database, table, where):
        return
    database.execute(f"ALTER TABLE {database.name}.{table} DELETE WHERE {condition(where)}")
    deadline = time.monotonic() + MUTATION_PATIENCE_S
    while _mutations(database, table):
        if time.monotonic() > deadline:
            said = f"removing rows of {table} took longer than {MUTATION_PATIENCE_S:.0f} s"
            raise SinkUnavailable(said, Why.SLOW)
        time.sleep(_POLL_S)


def _mutations(database: Database, table: str) -> int:
    chosen = condition({"database": database.name, "table": table, "is_done": 0})
    answer: Answer = database.query(f"SELECT count() FROM system.mutations WHERE {chosen}")
    return int(answer.rows[0][0])
