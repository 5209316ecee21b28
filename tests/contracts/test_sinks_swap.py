"""Swaps of rebuilt tables that are cut off, that two are at, or during which somebody writes."""

from __future__ import annotations

from itertools import count
from threading import Semaphore, Thread
from typing import Any

import pytest

from sinks import rebuild, swap
from sinks.rebuild import Rebuild
from sinks.sink import Database, SinkUnavailable
from sinks.writer import TablesRebuilt
from tests.contracts.rebuilding import GIVEN, left_behind, rebuilt, writer, written
from tests.unit.sinks.reading import facts
from tests.unit.sinks.resolved import frames


class Cut(Exception):
    """The process that swapped has died."""


class Dying:
    """`Database` whose process dies after a certain statement; before it is after the last one."""

    def __init__(self, inner: Database, statements: int) -> None:
        self._inner, self._left = inner, statements

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def execute(self, sql: str, label: str = "") -> None:
        self._left -= 1
        self._inner.execute(sql, label)
        if self._left == 0:
            raise Cut


def test_a_swap_that_is_cut_off_anywhere_is_finished_by_whoever_comes(live: Database) -> None:
    writer(live).write(GIVEN[:2])
    expected = written(live, frames(3, 5, shard=1), 1)
    for statements in count(1):
        building = Rebuild(live)
        building.begin({0: 0, 1: rebuild.whole_blocks(live, 1, 99)})
        building.writer(0).write(GIVEN[:3])
        try:
            dying: Any = Dying(live, statements)
            swap.swap(dying, building.id)
        except Cut:
            swap.finish(live, quiet_s=0)
            if statements == 1:  # nothing had moved yet
                building.swap()
        else:
            break
        finally:
            building.close()
        assert not swap.finish(live, quiet_s=0)
        assert facts(live, 0) == expected
        assert facts(live, 1) == expected
        swap.clear(live)
        assert left_behind(live) == []
    assert statements > 8


class Stepwise:
    """`Database` of a process that swaps a statement at a time, when it is told to."""

    def __init__(self, inner: Database, swap_id: str) -> None:
        self._inner, self._go, self._stands = inner, Semaphore(0), Semaphore(0)
        self._thread = Thread(target=swap.swap, args=(self, swap_id), daemon=True)
        self._thread.start()
        self._stands.acquire()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def execute(self, sql: str, label: str = "") -> None:
        self._stands.release()
        self._go.acquire()
        self._inner.execute(sql, label)

    def step(self) -> bool:
        """Does its next statement; whether there is another one."""
        self._go.release()
        while self._thread.is_alive():
            if self._stands.acquire(timeout=0.01):
                return True
        return False


class Looking:
    """`Database` of a process that finishes a swap; the other one goes on at each look at the names."""

    def __init__(self, inner: Database, other: Stepwise) -> None:
        self._inner, self._other, self.moved = inner, other, list[str]()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def query(self, sql: str) -> Any:
        found = self._inner.query(sql)
        while "ORDER BY database, name" in sql and self._inner.query(sql) == found and self._other.step():
            pass
        return found

    def execute(self, sql: str, label: str = "") -> None:
        self.moved += [sql] if label or sql.startswith("DROP TABLE") else []
        self._inner.execute(sql, label)


def test_a_swap_that_somebody_is_at_is_left_to_them(live: Database) -> None:
    """Else one could drop as an empty name what the other has just moved in."""
    building = rebuilt(live, GIVEN)
    building.close()
    other = Stepwise(live, building.id)
    while not swap._ids(live) or swap._stands(live, building.id).name != "HALF":
        assert other.step()
    finishing: Any = Looking(live, other)
    assert swap.finish(finishing, quiet_s=0)
    assert finishing.moved == []
    assert not other.step()
    assert facts(live, 0) == written(live, frames(8, 5, shard=1), 1)


def test_while_tables_are_swapped_nobody_can_write_and_everybody_waits(live: Database) -> None:
    old = writer(live)
    old.write(GIVEN[:3])
    building = rebuilt(live, GIVEN)
    dying: Any = Dying(live, 4)
    with pytest.raises(Cut):
        swap.swap(dying, building.id)
    for one in (old, writer(live)):
        with pytest.raises(SinkUnavailable) as swapping:
            one.write(GIVEN[3:])
        assert swapping.value.why == "swapping"
    swap.finish(live, quiet_s=0)
    building.close()
    with pytest.raises(TablesRebuilt):
        old.write(GIVEN[3:])
    assert facts(live, 0) == written(live, frames(8, 5, shard=1), 1)
