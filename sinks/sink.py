"""What a place to keep facts must offer: two small protocols over embedded chDB, a ClickHouse server, and memory.

In: Arrow batches and SQL. Out: rows. Never: knowledge of engine, Kafka or Faust.

`Sink` is all that the block writer needs, and memory offers it too; `Database` adds SQL, for migrations and for
people. All implementations pass one suite (tests/contracts/test_sinks.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa

DATABASE = "siyu"

Where = Mapping[str, int | str]
"""Rows are chosen by equality of columns, and nothing else: memory can do that as well as any ClickHouse."""


class SinkUnavailable(Exception):
    """The place is away, read-only, full or refuses us: wait and try again; whether a statement was done is open."""


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

    def insert(self, table: str, batch: pa.RecordBatch, label: str = "") -> None:
        """Appends a batch to `siyu.<table>` by column name; columns missing in the batch take their default.

        A null is allowed where the table's column is Nullable. Not atomic: after an exception none, some or all rows
        may stand. On a server the statement carries `label`.
        """

    def count(self, table: str, where: Where) -> int:
        """How many rows of the table have these values."""

    def last(self, table: str, by: str, where: Where) -> dict[str, Any] | None:
        """The row with the greatest `by` among those with these values, or None; which one of equals is open."""

    def remove(self, table: str, where: Where) -> None:
        """Removes the rows with these values; they are gone when it returns."""

    def unfinished(self, label: str) -> int:
        """How many statements whose label starts so still run, sent over a connection that has broken since."""

    def close(self) -> None:
        """Releases the place; safe to call twice."""


class Database(Sink, Protocol):
    """A sink that speaks SQL."""

    @property
    def version(self) -> tuple[int, ...]:
        """The ClickHouse version, e.g. (18, 16, 1) or (26, 9, 2, 1)."""

    def execute(self, sql: str) -> None:
        """One statement without a result (DDL, ALTER)."""

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> Answer:
        """One SELECT, SHOW, DESCRIBE or EXPLAIN; parameters are written `%(name)s` and escaped."""
