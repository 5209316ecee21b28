"""What a place to keep facts must offer: one small protocol over embedded chDB, a ClickHouse server, and memory.

In: Arrow batches and SQL. Out: rows. Never: knowledge of engine, Kafka or Faust.

All implementations pass one suite (tests/contracts/test_sinks.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa

DATABASE = "siyu"


class SinkUnavailable(Exception):
    """The place is away, read-only, full or refuses us: wait and try again, nothing was decided."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A query's result: column names, and rows of plain Python values in the order that SQL gave."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


class Sink(Protocol):
    """Where facts go. One owner at a time; calls may block; not thread-safe."""

    @property
    def version(self) -> tuple[int, ...]:
        """The ClickHouse version, e.g. (18, 16, 1) or (26, 9, 0)."""

    def execute(self, sql: str) -> None:
        """One statement without a result (DDL, ALTER). Raises `SinkUnavailable`, or `ValueError` on bad SQL."""

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> Answer:
        """One SELECT; parameters are written `%(name)s` and escaped. Raises as `execute`."""

    def insert(self, table: str, batch: pa.RecordBatch) -> None:
        """Appends a batch to `siyu.<table>` by column name; columns missing in the batch take their default."""

    def close(self) -> None:
        """Releases the place; safe to call twice."""


Rows = Sequence[Mapping[str, Any]]
