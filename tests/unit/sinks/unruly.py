"""A server whose statements take their time, and owners of it that are stopped, lose answers and die anywhere.

In: what each owner does with its sink; who goes on next, decided from outside. Out: the rows that stand.
Never: two steps at once; a clock: a step is taken when it is asked for.

An insert goes through phases: it arrives (from now on it is listed as running), it looks at its guard, half of its
rows land, then the others, and it ends. A removal arrives (the rows that stand are marked), then the marked ones go.
Between any two phases anybody else may act. Whoever sent a statement may be told that the sink is away, or die, at any
moment: the statement lives on, also one that has not arrived yet.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

import pyarrow as pa

from sinks.memory import MemorySink
from sinks.sink import Guard, Sink, SinkUnavailable, Where

ENDED_WITHIN_S = 30.0


class Killed(BaseException):
    """The process of an owner ended at this call."""


@dataclass(eq=False)
class Statement:
    """A statement under way; `phases` are what is left of it."""

    label: str
    phases: Iterator[None]
    running: bool = False
    ended: bool = False

    def advance(self) -> None:
        """Its next phase."""
        if next(self.phases, self) is self:
            self.running, self.ended = False, True


class Rows(MemorySink):
    """Plain rows, each with the number under which it landed; faster than Arrow for a few rows."""

    def __init__(self) -> None:
        super().__init__()
        self.landed: dict[str, list[tuple[int, dict[str, Any]]]] = {}
        self.number = 0

    def insert(self, table: str, batch: pa.RecordBatch, label: str = "", guard: Guard | None = None) -> None:
        """The rows land under the next number."""
        self.number += 1
        self.landed.setdefault(table, []).extend((self.number, row) for row in batch.to_pylist())

    def rows(self, table: str) -> list[dict[str, Any]]:
        return [row for _, row in self.landed.get(table, [])]

    def count(self, table: str, where: Where) -> int:
        return sum(where.items() <= row.items() for row in self.rows(table))

    def last(self, table: str, by: str, where: Where) -> dict[str, Any] | None:
        """Of equals the one that landed last."""
        chosen = (row for row in reversed(self.rows(table)) if where.items() <= row.items())
        return max(chosen, key=itemgetter(by), default=None)

    def tally(self, table: str, column: str, where: Where) -> dict[Any, int]:
        return dict(Counter(row[column] for row in self.rows(table) if where.items() <= row.items()))

    def remove_before(self, table: str, where: Where, number: int) -> None:
        """Removes what landed up to a number."""
        there = self.landed.get(table, [])
        self.landed[table] = [(at, row) for at, row in there if at > number or not where.items() <= row.items()]


@dataclass(eq=False)
class Server:
    """What stands, and what is under way."""

    rows: Rows = field(default_factory=Rows)
    statements: list[Statement] = field(default_factory=list)

    def send(self, label: str, phases: Callable[[Statement], Iterator[None]]) -> Statement:
        """A statement on its way, not arrived yet."""
        statement = Statement(label, iter(()))
        statement.phases = phases(statement)
        self.statements.append(statement)
        return statement

    def advance(self, statement: Statement) -> None:
        """The next phase of a statement."""
        statement.advance()
        if statement.ended:
            self.statements.remove(statement)

    def inserting(
        self, table: str, batch: pa.RecordBatch, guard: Guard | None
    ) -> Callable[[Statement], Iterator[None]]:
        """The phases of an insert."""

        def phases(statement: Statement) -> Iterator[None]:
            statement.running = True
            yield
            if guard is not None and not self.rows.holds(guard):
                return
            yield
            if half := batch.num_rows // 2:
                self.rows.insert(table, batch.slice(0, half))
                yield
            self.rows.insert(table, batch.slice(half))

        return phases

    def removing(self, table: str, where: Where) -> Callable[[Statement], Iterator[None]]:
        """The phases of a removal: rows that land after it has arrived stay."""

        def phases(_: Statement) -> Iterator[None]:
            last = self.rows.number
            yield
            self.rows.remove_before(table, where, last)

        return phases


class Owner:
    """One process that has a sink: it stops at each call until it is told what comes of it."""

    def __init__(self, server: Server, work: Callable[[Sink], None]) -> None:
        self._server = server
        self._asked, self._told = threading.Semaphore(0), threading.Semaphore(0)
        self._answer: Callable[[], Any] = lambda: None
        self._call: Callable[[], Any] | None = None
        self.statement: Statement | None = None
        self.ended = False
        self.fault: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(work,), daemon=True)
        self._thread.start()
        self._asked.acquire()

    def step(self) -> None:
        """Its call goes on: it is sent or, where its statement has ended or is only a question, answered."""
        if self.statement is None:
            assert self._call is not None
            call, self._call = self._call, None
            value = call()
            if isinstance(value, Statement):
                self.statement = value
            else:
                self._go_on(lambda: value)
        elif self.statement.ended:
            self._go_on(lambda: None)
        else:
            self._server.advance(self.statement)

    def lose(self) -> None:
        """It is told that the sink is away; a statement that it had sent lives on."""
        self._go_on(_away)

    def kill(self) -> None:
        """It dies at this call."""
        self._go_on(_killed)

    def _go_on(self, answer: Callable[[], Any]) -> None:
        self.statement, self._call, self._answer = None, None, answer
        self._told.release()
        assert self._asked.acquire(timeout=ENDED_WITHIN_S)

    def ask(self, call: Callable[[], Any]) -> Any:
        """In the owner's thread: what comes of the call, when it is told."""
        self._call = call
        self._asked.release()
        self._told.acquire()
        return self._answer()

    def _run(self, work: Callable[[Sink], None]) -> None:
        try:
            work(_Handle(self, self._server))
        except Killed:
            pass
        except BaseException as fault:
            self.fault = fault
        self.ended = True
        self._asked.release()


def _away() -> None:
    raise SinkUnavailable("away")


def _killed() -> None:
    raise Killed


class _Handle:
    """`Sink` as one owner sees it."""

    def __init__(self, owner: Owner, server: Server) -> None:
        self._owner, self._server = owner, server

    def insert(self, table: str, batch: pa.RecordBatch, label: str = "", guard: Guard | None = None) -> None:
        self._owner.ask(lambda: self._server.send(label, self._server.inserting(table, batch, guard)))

    def count(self, table: str, where: Where) -> int:
        return int(self._owner.ask(lambda: self._server.rows.count(table, where)))

    def last(self, table: str, by: str, where: Where) -> dict[str, Any] | None:
        found: dict[str, Any] | None = self._owner.ask(lambda: self._server.rows.last(table, by, where))
        return found

    def tally(self, table: str, column: str, where: Where) -> dict[Any, int]:
        return dict(self._owner.ask(lambda: self._server.rows.tally(table, column, where)))

    def remove(self, table: str, where: Where) -> None:
        self._owner.ask(lambda: self._server.send("", self._server.removing(table, where)))

    def unfinished(self, label: str) -> int:
        running = self._server.statements
        return int(self._owner.ask(lambda: sum(one.running and one.label.startswith(label) for one in running)))

    def close(self) -> None:
        """The server stays."""
