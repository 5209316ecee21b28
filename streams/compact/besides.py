"""Table `beside`: what stood on an event beside its strongest id, found by that id.

In: rows by all ids of an event, the strongest first, as the changelog has them. Out: the same rows; the keys of one id.
Never: a key that stands in memory as a text of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, MutableMapping
from typing import Any

from streams.compact.rows import Beside
from streams.compact.tiered import Tiered

_BETWEEN = "\x1e"
Row = tuple[str, int, int]
"""The event's id and time, and the seq of the first pair of those after the strongest id."""


class Besides(MutableMapping[str, Row]):
    """A table like `Table`, over one with a row for each strongest id."""

    def __init__(self, rows: Tiered[tuple[Beside, ...]]) -> None:
        self.changed: dict[str, None] = {}
        self._rows = rows
        self._len = 0

    def of(self, strongest: str) -> list[str]:
        """The keys that begin with this id."""
        return [_key(strongest, one) for one in self._rows.get(strongest, ())]

    def among(self, nodes: Iterable[str]) -> set[str]:
        """The keys in which one of these ids stands."""
        wanted = set(nodes)
        return {key for key in self if not wanted.isdisjoint(key.split(_BETWEEN))}

    def __getitem__(self, key: str) -> Row:
        strongest, others = _parts(key)
        for one in self._rows.get(strongest, ()):
            if one[0] == others:
                return one[1:]
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        # All at once, since those who go through them put others.
        return iter([_key(strongest, one) for strongest, row in self._rows.each() for one in row])

    def __len__(self) -> int:
        return self._len

    def put(self, key: str, value: Row) -> None:
        """Sets a row."""
        self[key] = value
        self.changed[key] = None

    def drop(self, key: str) -> None:
        """Removes a row, if it is there."""
        if key in self:
            del self[key]
            self.changed[key] = None

    def __setitem__(self, key: str, value: Row) -> None:
        strongest, others = _parts(key)
        left = self._without(strongest, others)
        self._rows[strongest] = (*left, Beside(others, *value))
        self._len += 1

    def __delitem__(self, key: str) -> None:
        strongest, others = _parts(key)
        known = self._len
        left = self._without(strongest, others)
        if self._len == known:
            raise KeyError(key)
        if left:
            self._rows[strongest] = left
        else:
            del self._rows[strongest]

    def _without(self, strongest: str, others: tuple[str, ...]) -> tuple[Beside, ...]:
        """What is left of the row of this id, and of the number of all, without these others."""
        row = self._rows.get(strongest, ())
        left = tuple(one for one in row if one[0] != others)
        self._len -= len(row) - len(left)
        return left

    def committed(self) -> None:
        """See `Table`."""
        self.changed.clear()

    def fill(self, keys: Iterable[str], values: Iterable[Any]) -> None:
        """Sets rows that were kept elsewhere; they don't count as changed."""
        for key, value in zip(keys, values, strict=True):
            self[key] = value

    def frozen(self) -> Iterator[tuple[list[str], list[Row]]]:
        """All rows as they are now, in parts."""
        return (_of(zip(*part, strict=True)) for part in self._rows.frozen())


def _of(rows: Iterable[tuple[str, tuple[Beside, ...]]]) -> tuple[list[str], list[Row]]:
    found = [(_key(strongest, one), one[1:]) for strongest, row in rows for one in row]
    return [key for key, _ in found], [row for _, row in found]


def _parts(key: str) -> tuple[str, tuple[str, ...]]:
    strongest, *others = key.split(_BETWEEN)
    return strongest, tuple(others)


def _key(strongest: str, one: Beside) -> str:
    return _BETWEEN.join((strongest, *one.others))
