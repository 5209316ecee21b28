"""Packed rows by number: all of one size side by side, or of any size in one run of bytes.

In: bytes, and the number of their key. Out: where they stand. Never: what they mean.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from typing import Protocol

_UNIT = 8
_LENGTH_BYTES = 2
_LONGEST = 0xFFFF
Span = tuple[int, int]


class Shelf(Protocol):
    """Bytes by number. `rows` is all of it, and always the same object."""

    rows: bytearray

    def span(self, number: int) -> Span | None:
        """From where to where it stands; None where there is nothing, as for number -1."""

    def put(self, number: int, packed: bytes) -> None:
        """Puts it there. Raises ValueError where it can't stand there."""

    def drop(self, number: int) -> None:
        """Nothing stands there any more."""

    def numbers(self) -> Iterator[int]:
        """Where something stands, upwards."""

    def copy(self) -> Shelf:
        """The same as it is now."""


class Fixed:
    """Rows of `size` bytes."""

    def __init__(self, size: int) -> None:
        self.rows = bytearray()
        self._size = size
        self._there = bytearray()

    def span(self, number: int) -> Span | None:
        """See `Shelf`."""
        if 0 <= number < len(self._there) and self._there[number]:
            start = self._size * number
            return start, start + self._size
        return None

    def put(self, number: int, packed: bytes) -> None:
        """See `Shelf`."""
        if number >= len(self._there):
            more = number + 1 - len(self._there)
            self._there += bytes(more)
            self.rows += bytes(self._size * more)
        start = self._size * number
        self.rows[start : start + self._size] = packed
        self._there[number] = 1

    def drop(self, number: int) -> None:
        """See `Shelf`."""
        if self.span(number) is not None:
            self._there[number] = 0

    def numbers(self) -> Iterator[int]:
        """See `Shelf`."""
        return (number for number, there in enumerate(self._there) if there)

    def copy(self) -> Fixed:
        """See `Shelf`."""
        copy = Fixed(self._size)
        copy.rows, copy._there = self.rows[:], self._there[:]
        return copy


class Loose:
    """Rows of up to 64 KB, each in whole units of 8 bytes; what one leaves free the next of its size takes."""

    def __init__(self) -> None:
        self.rows = bytearray(_UNIT)
        self._units = array("I")
        """Where a row begins, by number, in units; 0: there is none."""
        self._free: dict[int, array[int]] = {}

    def span(self, number: int) -> Span | None:
        """See `Shelf`."""
        unit = self._units[number] if 0 <= number < len(self._units) else 0
        if not unit:
            return None
        start = _UNIT * unit + _LENGTH_BYTES
        return start, start + self._length(unit)

    def put(self, number: int, packed: bytes) -> None:
        """See `Shelf`."""
        if len(packed) > _LONGEST:
            raise ValueError("the row is too long")
        if number >= len(self._units):
            self._units.frombytes(bytes(self._units.itemsize * (number + 1 - len(self._units))))
        size = _size(len(packed))
        if not self._units[number] or _size(self._length(self._units[number])) != size:
            self.drop(number)
            self._units[number] = self._place(size)
        start = _UNIT * self._units[number]
        stored = len(packed).to_bytes(_LENGTH_BYTES, "big") + packed
        self.rows[start : start + len(stored)] = stored

    def _place(self, size: int) -> int:
        free = self._free.get(size)
        if free:
            return free.pop()
        unit = len(self.rows) // _UNIT
        self.rows += bytes(_UNIT * size)
        return unit

    def _length(self, unit: int) -> int:
        return self.rows[_UNIT * unit] << 8 | self.rows[_UNIT * unit + 1]

    def drop(self, number: int) -> None:
        """See `Shelf`."""
        unit = self._units[number] if 0 <= number < len(self._units) else 0
        if unit:
            self._free.setdefault(_size(self._length(unit)), array("I")).append(unit)
            self._units[number] = 0

    def numbers(self) -> Iterator[int]:
        """See `Shelf`."""
        return (number for number, unit in enumerate(self._units) if unit)

    def copy(self) -> Loose:
        """See `Shelf`."""
        copy = Loose()
        copy.rows, copy._units = self.rows[:], self._units[:]
        return copy


def _size(length: int) -> int:
    """In units, with the length before it."""
    return (length + _LENGTH_BYTES + _UNIT - 1) // _UNIT
