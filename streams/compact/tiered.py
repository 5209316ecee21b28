"""Rows of which those that were used lately are at hand as they are, and the others packed.

In: rows by key. Out: the same rows. Never: a difference that a reader could see, but the order of the keys.

A row that is put stays as it is until so many others were used after it; only then is it packed. So with few rows
nothing is packed at all, and a row that changes often is packed once.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from itertools import islice
from typing import Any, NamedTuple, TypeVar

from streams.compact.keys import Keys
from streams.compact.shelves import Shelf

V = TypeVar("V")
D = TypeVar("D")
MOST_AT_HAND = 131_072
"""At most twice as many are, of each table."""
_PART = 1_000
_CANNOT = (ValueError, TypeError, AttributeError, OverflowError, struct.error)


class Form(NamedTuple):
    """How rows of a table are packed.

    `pack` raises ValueError, TypeError or struct.error where it can't do it exactly. `unpack` is told from where to
    where in these bytes the row stands. `shaped` makes of a row that was kept elsewhere, as plain tuples, what readers
    of the table expect.
    """

    pack: Callable[[Any], bytes]
    unpack: Callable[[bytearray, int, int], Any]
    shaped: Callable[[Any], Any] = lambda row: row


class Tiered(MutableMapping[str, V]):
    """A table like `Table`, of any number of rows. `at_hand`: some of them, to look there first; read it only."""

    def __init__(self, keys: Keys, shelf: Shelf, form: Form, most_at_hand: int = MOST_AT_HAND) -> None:
        self.changed: dict[str, None] = {}
        self.at_hand: dict[str, V] = {}
        self._unpacked: set[str] = set()
        self._odd: dict[str, V] = {}
        self._keys = keys
        self._shelf = shelf
        self._form = form
        self._room = 2 * most_at_hand
        self._packing = False
        self._packed = 0
        self._len = 0
        self.get = self.at_hand.get  # type: ignore[assignment,method-assign]  # at a dict's speed till a row is packed

    # Reading

    def get(self, key: str, default: D = None) -> V | D:  # type: ignore[assignment]
        """The row, or the default."""
        row = self.at_hand.get(key)
        if row is not None:
            return row
        row = self._stored(key)
        if row is None:
            return default
        self.at_hand[key] = row
        if len(self.at_hand) > self._room:
            self._make_room()
        return row

    def _stored(self, key: str) -> V | None:
        span = self._shelf.span(self._keys.find(key)) if self._packed else None
        if span is None:
            return self._odd.get(key)
        row: V = self._form.unpack(self._shelf.rows, *span)
        return row

    def __getitem__(self, key: str) -> V:
        row = self.at_hand.get(key)
        if row is None:
            row = self.get(key)
            if row is None:
                raise KeyError(key)
        return row

    def __contains__(self, key: object) -> bool:
        return key in self.at_hand or (self._packing and isinstance(key, str) and self._is_stored(key))

    def _is_stored(self, key: str) -> bool:
        return (self._packed > 0 and self._shelf.span(self._keys.find(key)) is not None) or key in self._odd

    def __len__(self) -> int:
        return self._len

    def __iter__(self) -> Iterator[str]:
        known = list(self.at_hand)
        yield from known
        seen = set(known)
        yield from (key for key in list(self._odd) if key not in seen)
        keys = (self._keys.text(number) for number in self._shelf.numbers())
        yield from (key for key in keys if key not in seen)

    # Writing

    def put(self, key: str, value: V) -> None:
        """Sets a row."""
        at_hand = self.at_hand
        if key not in at_hand and not (self._packing and self._is_stored(key)):
            self._len += 1
        at_hand[key] = value
        self._unpacked.add(key)
        self.changed[key] = None
        if len(at_hand) > self._room:
            self._make_room()

    def drop(self, key: str) -> None:
        """Removes a row, if it is there."""
        if key in self:
            del self[key]
            self.changed[key] = None

    def __setitem__(self, key: str, value: V) -> None:
        noticed = key in self.changed
        self.put(key, value)
        if not noticed:
            self.changed.pop(key, None)

    def __delitem__(self, key: str) -> None:
        stored = self._is_stored(key)
        if self.at_hand.pop(key, None) is None and not stored:
            raise KeyError(key)
        self._unpacked.discard(key)
        if stored:
            self._unstore(key)
        self._len -= 1

    def _unstore(self, key: str) -> None:
        self._odd.pop(key, None)
        number = self._keys.find(key)
        if self._shelf.span(number) is not None:
            self._shelf.drop(number)
            self._packed -= 1

    def committed(self) -> None:
        """See `Table`."""
        self.changed.clear()

    def fill(self, keys: Iterable[str], values: Iterable[Any]) -> None:
        """Sets rows that were kept elsewhere; they don't count as changed."""
        shaped = self._form.shaped
        for key, value in zip(keys, values, strict=True):
            self[key] = shaped(value)

    def _make_room(self) -> None:
        """Packs those that came first: of the keys at hand the older half."""
        at_hand, unpacked = self.at_hand, self._unpacked
        if not self._packing:
            self._packing = True
            del self.get
        for key in list(islice(at_hand, self._room // 2)):
            row = at_hand.pop(key)
            if key in unpacked:
                unpacked.discard(key)
                self._store(key, row)
        # The same dict, since others hold it: emptied and filled it loses the places of those that are gone.
        kept = list(at_hand.items())
        at_hand.clear()
        at_hand.update(kept)

    def _store(self, key: str, row: V) -> None:
        try:
            packed, number = self._form.pack(row), self._keys.add(key)
            new = self._shelf.span(number) is None
            self._shelf.put(number, packed)
        except _CANNOT:
            self._unstore(key)
            self._odd[key] = row
        else:
            self._odd.pop(key, None)
            self._packed += new

    # All rows

    def in_order(self) -> Iterator[str]:
        """The keys as they are now, in alphabetical order; whoever goes through them may change rows."""
        return iter(sorted(self))

    def each(self) -> Iterator[tuple[str, V]]:
        """Every row with its key, none of which comes to hand by that; nobody writes meanwhile."""
        for keys, values in self._parts({**self._odd, **self.at_hand}, self._shelf):
            yield from zip(keys, values, strict=True)

    def frozen(self) -> Iterator[tuple[list[str], list[V]]]:
        """All rows as they are now, in parts; packed ones are copied as such, and unpacked when their part is due."""
        rows = {**self._odd, **self.at_hand}
        return self._parts(rows, self._shelf.copy())

    def _parts(self, rows: dict[str, V], shelf: Shelf) -> Iterator[tuple[list[str], list[V]]]:
        yield list(rows), list(rows.values())
        numbers = shelf.numbers()
        unpack = self._form.unpack
        while part := list(islice(numbers, _PART)):
            spans = {self._keys.text(number): shelf.span(number) for number in part}
            found = {key: unpack(shelf.rows, *span) for key, span in spans.items() if span and key not in rows}
            yield list(found), list(found.values())
