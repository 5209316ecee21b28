"""Engine state as tables of rows that know what changed since the last commit.

In: `put` and `drop` from the core. Out: the changed rows, for the store and the changelog. Never: input or output.

Reading a table is reading a dict, at a dict's speed. Keys are strings; values are what MessagePack can hold (a tuple
comes back as a tuple), and are never changed in place: a snapshot may still have to write one down. Whatever is not in
a table is derived, and is built again from the rows after a restore.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple, TypeVar

V = TypeVar("V")


class Change(NamedTuple):
    """A row's new value; None means that it is gone."""

    table: str
    key: str
    value: Any


class Table(dict[str, V]):
    """Rows of one kind. Write through `put` and `drop` only: item assignment is not noticed."""

    def __init__(self) -> None:
        super().__init__()
        self.changed: dict[str, None] = {}

    def put(self, key: str, value: V) -> None:
        """Sets a row."""
        self[key] = value
        self.changed[key] = None

    def drop(self, key: str) -> None:
        """Removes a row, if it is there."""
        if self.pop(key, None) is not None:
            self.changed[key] = None


class Tables:
    """All state of one shard. `table(name)` answers the same table each time."""

    def __init__(self, rows: Iterable[Change] = ()) -> None:
        self._tables: dict[str, Table[Any]] = {}
        self.take(rows)

    def take(self, rows: Iterable[Change]) -> None:
        """Sets rows that were kept, in order; they don't count as changed."""
        for name, key, value in rows:
            table = self.table(name)
            if value is None:
                table.pop(key, None)
            else:
                table[key] = value

    def table(self, name: str) -> Table[Any]:
        """The table of this name, empty at first."""
        if name not in self._tables:
            self._tables[name] = Table()
        return self._tables[name]

    def take_changes(self) -> list[Change]:
        """The rows that changed since the last call, each once with its newest value."""
        changes = []
        for name, table in self._tables.items():
            changes += [Change(name, key, table.get(key)) for key in table.changed]
            table.changed.clear()
        return changes

    def rows(self) -> Iterable[Change]:
        """Every row, by table and key in alphabetical order: the state, to compare or to snapshot."""
        for name, table in sorted(self._tables.items()):
            for key in sorted(table):
                yield Change(name, key, table[key])

    def sizes(self) -> dict[str, int]:
        """Rows by table."""
        return {name: len(table) for name, table in self._tables.items()}
