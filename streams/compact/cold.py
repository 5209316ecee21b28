"""Rows that are not in memory: read from where they are kept when they are asked for, and at hand for a while.

In: rows as of the last commit, by key and by index; what is put and dropped since. Out: the same rows.
Never: a row that was changed since the last commit read from where it is kept; a difference that a reader could see,
but the order of the keys.

What changed stays in memory until it was committed; of the rest so many rows are at hand as there is room for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from heapq import merge
from typing import Any, Generic, Protocol, TypeVar, cast

V = TypeVar("V")
D = TypeVar("D")

OF_IDS = ("beside", "links", "nodes", "persons")
"""Tables with a row for every id or so."""
MEMBERS = "members"
"""The nodes of a person, by its one_id."""
VISITS = "visits"
"""Nodes that stand for a part of a value's events, under ""."""
AMONG = "among"
"""The keys of `beside` in which an id stands, by the id."""
_SEPARATOR = "\x1f"
_PARTS = 4
_BETWEEN = "\x1e"


class Unreadable(Exception):
    """What is kept can't be read: no event is at fault, and the state must be restored."""


class Cold(Protocol):
    """The rows of the tables `OF_IDS` as of the last commit, with their indices. Every call may raise Unreadable."""

    def row(self, table: str, key: str) -> Any:
        """The row; None where there is none."""

    def keys(self, table: str, prefix: str = "") -> Iterator[str]:
        """The keys that begin so, as they are now, in alphabetical order."""

    def parts(self, table: str) -> Iterator[tuple[list[str], list[Any]]]:
        """All rows as they are now, in parts that are read when they are due."""

    def named(self, index: str, name: str) -> list[str]:
        """What stands under this name, in alphabetical order."""

    def count(self, table: str) -> int:
        """How many rows there are."""


def entries(table: str, key: str, row: Any) -> Iterator[tuple[str, str, str]]:
    """Index, name and what stands there for this row."""
    if table == "nodes":
        yield MEMBERS, row[0], key
        if key.count(_SEPARATOR) >= _PARTS:
            yield VISITS, "", key
    elif table == "beside":
        yield from ((AMONG, node, key) for node in key.split(_BETWEEN))


class OnDemand(Generic[V]):
    """What `read` answers by key, and what was changed since the last commit."""

    def __init__(self, read: Callable[[str], V | None], most_at_hand: int) -> None:
        self.changed: dict[str, None] = {}
        self.at_hand: dict[str, V] = {}
        self._absent: set[str] = set()
        """Some of the keys that are neither kept nor at hand: who is new is asked for again and again."""
        self._read = read
        self._room = self._full = max(2, 2 * most_at_hand)

    def get(self, key: str, default: D = None) -> V | D:  # type: ignore[assignment]
        """The row, or the default."""
        row = self.at_hand.get(key)
        if row is None and key not in self._absent and key not in self.changed:
            row = self._read(key)
            if row is not None:
                self._bring(key, row)
            else:
                self._miss(key)
        return default if row is None else row

    def _miss(self, key: str) -> None:
        if len(self._absent) >= self._room:
            self._absent.clear()
        self._absent.add(key)

    def _bring(self, key: str, row: V) -> None:
        self.at_hand[key] = row
        if len(self.at_hand) > self._full:
            self._make_room()

    def _make_room(self) -> None:
        """Forgets those that came first: of what is as it is kept half of the room stays."""
        at_hand, changed = self.at_hand, self.changed
        same = [key for key in at_hand if key not in changed] if changed else list(at_hand)
        for key in same[: max(0, len(same) - self._room // 2)]:
            del at_hand[key]
        # The same dict, since others hold it: emptied and filled it loses the places of those that are gone.
        kept = list(at_hand.items())
        at_hand.clear()
        at_hand.update(kept)
        self._full = max(self._room, len(at_hand) + self._room // 2)

    def forget(self) -> None:
        """Keys that nobody has stand nowhere any more."""
        self._absent.clear()

    def __getitem__(self, key: str) -> V:
        row = self.get(key)
        if row is None:
            raise KeyError(key)
        return row

    def __contains__(self, key: object) -> bool:
        return key in self.at_hand or (isinstance(key, str) and self.get(key) is not None)

    def __setitem__(self, key: str, value: V) -> None:
        self.changed[key] = None
        self._absent.discard(key)
        self._bring(key, value)

    def __delitem__(self, key: str) -> None:
        if key not in self:
            raise KeyError(key)
        self.changed[key] = None
        del self.at_hand[key]

    def pop(self, key: str, default: D = None) -> V | D:  # type: ignore[assignment]
        """Removes a row and answers it, or the default."""
        row = self.get(key)
        if row is None:
            return default
        del self[key]
        return row

    def committed(self) -> None:
        """What was changed is about to be kept; nobody asks for a row before it is."""
        self.changed.clear()
        self._full = self._room
        if len(self.at_hand) > self._full:
            self._make_room()


class ColdTable(OnDemand[V]):
    """A table like `Table`. `shaped` makes of a row that was kept what readers of the table expect."""

    def __init__(
        self, name: str, cold: Cold, most_at_hand: int, shaped: Callable[[Any], Any] = lambda row: row
    ) -> None:
        super().__init__(self._kept, most_at_hand)
        self._name = name
        self._cold = cold
        self._shaped = shaped
        self._len = cold.count(name)

    def _kept(self, key: str) -> V | None:
        row = self._cold.row(self._name, key)
        return None if row is None else cast("V", self._shaped(row))

    def put(self, key: str, value: V) -> None:
        """Sets a row."""
        self._len += key not in self
        self[key] = value

    def drop(self, key: str) -> None:
        """Removes a row, if it is there."""
        if key in self:
            self._len -= 1
            del self[key]

    def __len__(self) -> int:
        return self._len

    def __iter__(self) -> Iterator[str]:
        return self.in_order()

    def in_order(self, prefix: str = "") -> Iterator[str]:
        """The keys that begin so, as they are now, in alphabetical order; whoever goes through them may change rows."""
        changed = {key for key in self.changed if key.startswith(prefix)}
        mine = sorted(key for key in changed if key in self.at_hand)
        kept = self._cold.keys(self._name, prefix)
        return merge(mine, (key for key in kept if key not in changed))

    def each(self) -> Iterator[tuple[str, V]]:
        """Every row with its key, none of which comes to hand by that."""
        return (row for keys, values in self.frozen() for row in zip(keys, values, strict=True))

    def frozen(self) -> Iterator[tuple[list[str], list[V]]]:
        """All rows as they are now, in parts; those that are kept are read when their part is due."""
        mine = {key: self.at_hand.get(key) for key in self.changed}
        return self._over(mine, self._cold.parts(self._name))

    def _over(
        self, mine: dict[str, V | None], kept: Iterator[tuple[list[str], list[Any]]]
    ) -> Iterator[tuple[list[str], list[V]]]:
        yield _apart((key, row) for key, row in mine.items() if row is not None)
        for keys, values in kept:
            rows = zip(keys, values, strict=True)
            yield _apart((key, self._shaped(row)) for key, row in rows if key not in mine)


def _apart(rows: Iterable[tuple[str, V]]) -> tuple[list[str], list[V]]:
    found = list(rows)
    return [key for key, _ in found], [row for _, row in found]


class ColdBesides(ColdTable[tuple[str, int, int]]):
    """Table `beside`."""

    def of(self, strongest: str) -> list[str]:
        """The keys that begin with this id."""
        return list(self.in_order(strongest + _BETWEEN))

    def among(self, nodes: Iterable[str]) -> set[str]:
        """The keys in which one of these ids stands."""
        wanted = set(nodes)
        kept = {key for node in wanted for key in self._cold.named(AMONG, node)}
        mine = {key for key in self.changed if key in self.at_hand and not wanted.isdisjoint(key.split(_BETWEEN))}
        return kept.difference(self.changed) | mine
