"""Engine state as tables of rows that know what changed since the last commit.

In: `put` and `drop` from the core. Out: the changed rows, for the store and the changelog. Never: input or output.

Reading a table is reading a dict, at a dict's speed; tables that have a row for every id keep most of them packed (see
`streams.compact`). Keys are strings; values are what MessagePack can hold (a tuple comes back as a tuple), and are
never changed in place: a snapshot may still have to write one down. Whatever is not in a table is derived, and is built
again from the rows after a restore.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Literal, NamedTuple, TypeVar, overload

from streams.compact.besides import Besides
from streams.compact.cold import OF_IDS, Cold, ColdTable
from streams.compact.rows import Ids
from streams.compact.tiered import MOST_AT_HAND, Tiered

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

    def committed(self) -> None:
        """What was changed is about to be kept; nobody asks for a row before it is."""
        self.changed.clear()

    def fill(self, keys: Iterable[str], values: Iterable[V]) -> None:
        """Sets rows that were kept elsewhere; they don't count as changed."""
        self.update(zip(keys, values, strict=True))

    def frozen(self) -> Iterator[tuple[list[str], list[V]]]:
        """All rows as they are now, by reference."""
        return iter([(list(self), list(self.values()))])


class Tables:
    """All state of one shard. `table(name)` answers the same table each time.

    `most_at_hand`: at most twice as many rows of a table of ids are not packed. `cold`: where the tables of ids are, if
    they are not to be in memory; then at most twice as many of their rows are, beside what changed since the last
    commit.
    """

    def __init__(self, rows: Iterable[Change] = (), most_at_hand: int = MOST_AT_HAND, cold: Cold | None = None) -> None:
        self.ids = Ids(most_at_hand, cold)
        self.elsewhere = frozenset(OF_IDS if cold is not None else ())
        self._tables: dict[str, Table[Any] | Tiered[Any] | Besides | ColdTable[Any]] = {}
        self.take(rows)

    def take(self, rows: Iterable[Change]) -> None:
        """Sets rows that were kept, in order; they don't count as changed. Those that are `elsewhere` are there."""
        for name, key, value in rows:
            if name in self.elsewhere:
                continue
            table = self.table(name)
            if value is None:
                table.pop(key, None)
            else:
                table.fill((key,), (value,))

    @overload
    def table(self, name: Literal["nodes", "links", "persons"]) -> Tiered[Any]: ...  # type: ignore[overload-overlap]

    @overload
    def table(self, name: Literal["beside"]) -> Besides: ...  # type: ignore[overload-overlap]

    @overload
    def table(self, name: str) -> Table[Any]: ...

    def table(self, name: str) -> Any:
        """The table of this name, empty at first."""
        if name not in self._tables:
            self._tables[name] = self._made(name)
        return self._tables[name]

    def _made(self, name: str) -> Table[Any] | Tiered[Any] | Besides | ColdTable[Any]:
        cold, packed = self.ids.cold_table(name), self.ids.table(name)
        if cold is not None:
            return cold
        return Table() if packed is None else Besides(packed) if name == "beside" else packed

    def _all(self) -> dict[str, Table[Any] | Tiered[Any] | Besides | ColdTable[Any]]:
        for name in self.elsewhere:
            self.table(name)
        return self._tables

    def frozen(self) -> Iterator[tuple[str, list[str], list[Any]]]:
        """Every row as it is now, in parts of one table each. Packed rows are copied as such at once."""
        found = [(name, table.frozen()) for name, table in self._all().items()]
        return ((name, keys, values) for name, parts in found for keys, values in parts)

    def take_changes(self) -> list[Change]:
        """The rows that changed since the last call, each once with its newest value."""
        changes = []
        for name, table in self._tables.items():
            changes += [Change(name, key, table.get(key)) for key in table.changed]
            table.committed()
        self.ids.committed()
        return changes

    def rows(self) -> Iterable[Change]:
        """Every row, by table and key in alphabetical order: the state, to compare or to snapshot."""
        for name, table in sorted(self._all().items()):
            for key in sorted(table):
                yield Change(name, key, table[key])

    def sizes(self) -> dict[str, int]:
        """Rows by table."""
        return {name: len(table) for name, table in self._all().items()}
