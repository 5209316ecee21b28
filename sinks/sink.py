"""What a place to keep facts must offer: two small protocols over embedded chDB, a ClickHouse server, and memory.

In: Arrow batches and SQL. Out: rows. Never: knowledge of engine, Kafka or Faust.

`Sink` is all that the block writer needs, and memory offers it too; `Database` adds SQL, for migrations and for
people. All implementations pass one suite (tests/contracts/test_sinks.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

import pyarrow as pa

DATABASE = "siyu"

Where = Mapping[str, int | str | tuple[str, ...]]
"""Rows are chosen by equality of columns, or by one of several texts: memory can do that as well as any ClickHouse."""


@dataclass(frozen=True, slots=True)
class Guard:
    """What an insert asks the server to look at when it runs: the greatest `by` of `table` among rows with `where`.

    Where that is not `value` (0 stands for no row) the insert brings nothing, however late it comes to run.
    """

    table: str
    by: str
    where: Where
    value: int


class Why(StrEnum):
    """Why a place takes nothing now, as operators see it in metrics and logs."""

    AWAY = "away"
    SLOW = "slow"
    FULL = "full"
    READ_ONLY = "read_only"
    REFUSED = "refused"
    OVERLOADED = "overloaded"
    FILES = "files"
    SWAPPING = "swapping"


class SinkUnavailable(Exception):
    """The place takes nothing, `why` says in a word: wait and try again; whether a statement was done is open."""

    def __init__(self, message: str, why: Why = Why.AWAY) -> None:
        super().__init__(message)
        self.why = why


@dataclass(frozen=True, slots=True)
class Answer:
    """A query's result: column names, and rows in the order that SQL gave.

    Values are those of JSON (None, bool, int, float, str, list, dict): times are text in UTC, an infinite or missing
    float is None, so that every place, and the query socket, give the same answer.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


class Sink(Protocol):
    """Where facts go. One owner at a time; calls block; not thread-safe.

    Every call may raise `SinkUnavailable`, and `ValueError` where we asked for nonsense (bad SQL, no such table).
    """

    def insert(self, table: str, batch: pa.RecordBatch, label: str = "", guard: Guard | None = None) -> None:
        """Appends a batch to a table by column name; columns missing in the batch take their default.

        A null is allowed where the table's column is Nullable. Not atomic: after an exception none, some or all rows
        may stand. With a `guard` all of them come, or none; which one it was, the caller must look. On a server the
        statement carries `label` from before it looks at the guard until the last row stands.
        """

    def count(self, table: str, where: Where) -> int:
        """How many rows of the table have these values."""

    def last(self, table: str, by: str, where: Where) -> dict[str, Any] | None:
        """The row with the greatest `by` among those with these values, or None; which one of equals is open."""

    def tally(self, table: str, column: str, where: Where) -> dict[Any, int]:
        """How many rows with these values there are by the value of a column."""

    def remove(self, table: str, where: Where) -> None:
        """Removes the rows with these values; they are gone when it returns."""

    def unfinished(self, label: str) -> int:
        """How many statements whose label starts so run now: those that we gave up, and those of others."""

    def close(self) -> None:
        """Releases the place; safe to call twice."""


class Database(Sink, Protocol):
    """A sink that speaks SQL; the tables of `Sink` are those of the ClickHouse database `name`."""

    @property
    def name(self) -> str:
        """Usually `DATABASE`."""

    def at(self, name: str) -> Database:
        """The same place, the tables of another ClickHouse database: a connection of its own, to be closed."""

    @property
    def version(self) -> tuple[int, ...]:
        """The ClickHouse version, e.g. (18, 16, 1) or (26, 9, 2, 1)."""

    def execute(self, sql: str, label: str = "") -> None:
        """One statement without a result (DDL, ALTER); on a server it carries the label."""

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> Answer:
        """One SELECT, SHOW, DESCRIBE or EXPLAIN; parameters are written `%(name)s` and escaped."""
