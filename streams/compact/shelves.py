"""Packed rows by number: all of one size side by side, or of any size in one run of bytes.

In: bytes, and the number of their key. Out: the same bytes. Never: what they mean.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from typing import Protocol

_UNIT = 8
_LENGTH_BYTES = 2
_LONGEST = 0xFFFF


class Shelf(Protocol):
    """Bytes by number."""

    def get(self, number: int) -> bytes | None:
        """What stands there."""

    def put(self, number: int, packed: bytes) -> None:
        """Puts it there. Raises ValueError where it can't stand there."""

    def drop(self, number: int) -> None:
        """Nothing stands there any more."""

    def numbers(self) -> Iterator[int]:
        """Where something stands, upwards."""

    def copy(self) -> Shelf:
        """The same as it is now."""


class Fixed:
    """Rows of `size` bytes; one of zeros only is none."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._none = bytes(size)
        self._rows = bytearray()

    def get(self, number: int) -> bytes | None:
        """See `Shelf`."""
        at = self._size * number
        packed = bytes(self._rows[at : at + self._size])
        return packed if packed and packed != self._none else None

    def put(self, number: int, packed: bytes) -> None:
        """See `Shelf`."""
        if packed == self._none:
            raise ValueError("zeros are no row")
        at = self._size * number
        if at > len(self._rows):
            self._rows += bytes(at - len(self._rows))
        self._rows[at : at + self._size] = packed

    def drop(self, number: int) -> None:
        """See `Shelf`."""
        at = self._size * number
        if at < len(self._rows):
            self._rows[at : at + self._size] = self._none

    def numbers(self) -> Iterator[int]:
        """See `Shelf`."""
        return (number for number in range(len(self._rows) // self._size) if self.get(number) is not None)

    def copy(self) -> Fixed:
        """See `Shelf`."""
        copy = Fixed(self._size)
        copy._rows[:] = self._rows
        return copy


class Loose:
    """Rows of up to 64 KB, each in whole units of 8 bytes; what one leaves free the next of its size takes."""

    def __init__(self) -> None:
        self._units = array("I")
        """Where a row begins, by number, in units; 0: there is none."""
        self._bytes = bytearray(_UNIT)
        self._free: dict[int, array[int]] = {}

    def get(self, number: int) -> bytes | None:
        """See `Shelf`."""
        unit = self._units[number] if number < len(self._units) else 0
        if not unit:
            return None
        start = _UNIT * unit + _LENGTH_BYTES
        return bytes(self._bytes[start : start + self._length(unit)])

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
        self._bytes[start : start + len(stored)] = stored

    def _place(self, size: int) -> int:
        free = self._free.get(size)
        if free:
            return free.pop()
        unit = len(self._bytes) // _UNIT
        self._bytes += bytes(_UNIT * size)
        return unit

    def _length(self, unit: int) -> int:
        return self._bytes[_UNIT * unit] << 8 | self._bytes[_UNIT * unit + 1]

    def drop(self, number: int) -> None:
        """See `Shelf`."""
        unit = self._units[number] if number < len(self._units) else 0
        if unit:
            self._free.setdefault(_size(self._length(unit)), array("I")).append(unit)
            self._units[number] = 0

    def numbers(self) -> Iterator[int]:
        """See `Shelf`."""
        return (number for number, unit in enumerate(self._units) if unit)

    def copy(self) -> Loose:
        """See `Shelf`."""
        copy = Loose()
        copy._units, copy._bytes = self._units[:], self._bytes[:]
        return copy


def _size(length: int) -> int:
    """In units, with the length before it."""
    return (length + _LENGTH_BYTES + _UNIT - 1) // _UNIT
