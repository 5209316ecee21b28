"""A sink that dies once, at a chosen call, before, in the middle of or after doing it.

In: a sink, which call, how. Out: the same sink until then, and `SinkUnavailable` at that call and ever after, as of a
process that was killed. Never: a change of what the other calls do.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from functools import partial
from typing import Any, TypeVar

import pyarrow as pa

from sinks.sink import Guard, Sink, SinkUnavailable, Where

T = TypeVar("T")


class How(StrEnum):
    """What of the fatal call was done."""

    NOTHING = "nothing"
    HALF = "half"
    ALL = "all"


class Interrupted:
    """`Sink` around another; `died` says whether it came to the fatal call, `calls` how many there were, `inserts`
    which of them were inserts."""

    def __init__(self, inner: Sink, call: int, how: How) -> None:
        self._inner, self._call, self._how = inner, call, how
        self.calls = 0
        self.inserts: list[int] = []
        self.died = False

    def insert(self, table: str, batch: pa.RecordBatch, label: str = "", guard: Guard | None = None) -> None:
        self.inserts.append(self.calls + 1)
        half = partial(self._half, table, batch, label, guard)
        self._step(lambda: self._inner.insert(table, batch, label, guard), half)

    def count(self, table: str, where: Where) -> int:
        return self._step(lambda: self._inner.count(table, where))

    def last(self, table: str, by: str, where: Where) -> dict[str, Any] | None:
        return self._step(lambda: self._inner.last(table, by, where))

    def tally(self, table: str, column: str, where: Where) -> dict[Any, int]:
        return self._step(lambda: self._inner.tally(table, column, where))

    def remove(self, table: str, where: Where) -> None:
        self._step(lambda: self._inner.remove(table, where))

    def unfinished(self, label: str) -> int:
        return self._step(lambda: self._inner.unfinished(label))

    def close(self) -> None:
        """The inner sink lives on."""

    def _half(self, table: str, batch: pa.RecordBatch, label: str, guard: Guard | None) -> None:
        if half := batch.num_rows // 2:
            self._inner.insert(table, batch.slice(0, half), label, guard)

    def _step(self, call: Callable[[], T], half: Callable[[], None] | None = None) -> T:
        self.calls += 1
        if self.calls == self._call:
            self._die(call, half)
        if self.died:
            raise SinkUnavailable("killed")
        return call()

    def _die(self, call: Callable[[], T], half: Callable[[], None] | None) -> None:
        self.died = True
        if self._how is How.ALL:
            call()
        elif self._how is How.HALF and half is not None:
            half()
