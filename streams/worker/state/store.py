"""Where a shard's rows live between commits: changed rows and the place in journal and changelog, in one write.

In: changes of a commit. Out: all rows, and the position that they stand for. Never: a write that is half there.

A store is a cache of the changelog: it may be lost, or behind, and is then filled from a snapshot and the changelog.
It is never ahead, since it is written after the changelog record is committed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

from streams.journal.tables import Change, Tables
from streams.worker.state.origin import UNKNOWN, Origin
from streams.worker.state.packed import packer, unpack_all


class Position(NamedTuple):
    """The next journal offset to fold, and the next changelog offset to read, that the rows stand for."""

    journal: int = 0
    changelog: int = 0


class Part(NamedTuple):
    """Some rows of one table."""

    table: str
    keys: Sequence[str]
    values: Sequence[Any]

    def changes(self) -> list[Change]:
        """The rows one by one."""
        return [Change(self.table, key, value) for key, value in zip(self.keys, self.values, strict=True)]


class StoreLocked(Exception):
    """Another process still holds the store: try again soon."""


class DamagedStore(Exception):
    """What is in the folder is not all that was written: `wipe` it, and restore."""


class StoreClosed(Exception):
    """It was closed while somebody read it."""


class Store(Protocol):
    """Rows of one shard. One owner; calls may block."""

    def position(self) -> Position:
        """What the rows stand for; zeros when it is empty."""

    def origin(self) -> Origin:
        """The topics that the position is of."""

    def bind(self, origin: Origin) -> None:
        """Notes the topics that the positions of all commits from now on are of."""

    def tables(self) -> Tables:
        """Tables without rows, but for those that are to be read from here when they are asked for."""

    def ready(self, told: Callable[[int], None]) -> None:
        """Makes ready for that what was written by one that did not; `told` hears of rows looked at for it."""

    def parts(self, without: Collection[str] = ()) -> Iterator[Part]:
        """All rows but those of these tables, in any order.

        Raises DamagedStore where some are lost, at the end at the latest.
        """

    def entries(self) -> int:
        """How many rows there are, about, without those that `tables` reads from here."""

    def commit(self, changes: Iterable[Change], position: Position) -> None:
        """Writes rows (None removes one) and position together: after a crash either all or nothing is there."""

    def size(self) -> int:
        """Bytes that it takes on disk, about."""

    def wipe(self) -> None:
        """Forgets everything, the origin too."""

    def close(self) -> None:
        """Lets the next owner in; safe to call twice."""


def rows_of(store: Store) -> Iterator[Change]:
    """All rows of a store, one by one."""
    return (change for part in store.parts() for change in part.changes())


def loaded(store: Store, told: Callable[[int], None] = lambda done: None) -> Tables:
    """All rows of a store that is ready; `told` hears of how many were read."""
    tables, done = store.tables(), 0
    for part in store.parts(tables.elsewhere):
        tables.table(part.table).fill(part.keys, part.values)
        done += len(part.keys)
        told(done)
    return tables


class MemoryStore:
    """A store that is gone with the process: for tests and for a run that restores from the changelog anyway."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str], bytes] = {}
        self._position = Position()
        self._origin = UNKNOWN

    def position(self) -> Position:
        """See `Store`."""
        return self._position

    def origin(self) -> Origin:
        """See `Store`."""
        return self._origin

    def bind(self, origin: Origin) -> None:
        """See `Store`."""
        self._origin = origin

    def entries(self) -> int:
        """See `Store`."""
        return len(self._rows)

    def tables(self) -> Tables:
        """See `Store`."""
        return Tables()

    def ready(self, told: Callable[[int], None]) -> None:
        """See `Store`."""

    def parts(self, without: Collection[str] = ()) -> Iterator[Part]:
        """See `Store`."""
        for (table, key), value in self._rows.items():
            if table not in without:
                yield Part(table, [key], unpack_all([value]))

    def commit(self, changes: Iterable[Change], position: Position) -> None:
        """See `Store`."""
        pack = packer()
        packed = [((table, key), None if value is None else pack(value)) for table, key, value in changes]
        for name, row in packed:
            if row is None:
                self._rows.pop(name, None)
            else:
                self._rows[name] = row
        self._position = position

    def size(self) -> int:
        """See `Store`."""
        return sum(map(len, self._rows.values()))

    def wipe(self) -> None:
        """See `Store`."""
        self._rows.clear()
        self._position = Position()
        self._origin = UNKNOWN

    def close(self) -> None:
        """See `Store`."""
