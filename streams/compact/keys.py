"""Keys that many rows name: each stands in memory once, and rows name it by its number.

In: ids of nodes, or names of persons. Out: their numbers, and the keys back. Never: a number given twice.

What an id has before its last part (tenant, kind, scope) it shares with many: that is a number of two bytes.
"""

from __future__ import annotations

from array import array
from typing import Protocol

from streams.compact.index import Index

_SEPARATOR = "\x1f"
_MOST_SEPARATORS = 2
_MOST_PREFIXES = 0xFFFF
_END = b"\xff"
"""In no text."""
_WHOLE = _END + b"\x00\x00"
_WIPED = b"\xfe"
"""In no text either."""
_HASH_BYTES = 16


class Wiped(KeyError):
    """The key that had this number was erased: whoever still reads rows of before must give them up."""


class Keys(Protocol):
    """Keys by number."""

    def find(self, key: str) -> int:
        """The key's number; -1 where it has none."""

    def add(self, key: str) -> int:
        """The key's number, a new one where it has none. Raises ValueError where it is no such key."""

    def text(self, number: int) -> str:
        """The key that has this number."""


class Texts:
    """Keys of any text: its last part, an end, and the number of what stands before it."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._starts = array("Q")
        self._index = Index(self._bytes, self._starts)
        self._signs: dict[str, bytes] = {}
        self._prefixes = [""]
        self._gone: set[int] = set()

    def find(self, key: str) -> int:
        """See `Keys`."""
        prefix, mark, value = key.rpartition(_SEPARATOR)
        sign = self._signs.get(prefix) if mark else None
        return self._index.find(key.encode() + _WHOLE if sign is None else value.encode() + sign)

    def add(self, key: str) -> int:
        """See `Keys`."""
        prefix, mark, value = key.rpartition(_SEPARATOR)
        sign = self._sign(prefix) if mark else None
        stored = key.encode() + _WHOLE if sign is None else value.encode() + sign
        number = self._index.find(stored)
        if number < 0:
            number = len(self._starts)
            self._starts.append(len(self._bytes))
            self._bytes += stored
            self._index.add(stored, number)
        return number

    def _sign(self, prefix: str) -> bytes | None:
        sign = self._signs.get(prefix)
        if sign is None and prefix.count(_SEPARATOR) <= _MOST_SEPARATORS and len(self._prefixes) <= _MOST_PREFIXES:
            sign = self._signs[prefix] = _END + len(self._prefixes).to_bytes(2, "big")
            self._prefixes.append(prefix + _SEPARATOR)
        return sign

    def text(self, number: int) -> str:
        """See `Keys`."""
        start = self._starts[number]
        end = self._bytes.index(_END, start)
        value = self._bytes[start:end]
        sign = self._bytes[end + 1] << 8 | self._bytes[end + 2]
        if number in self._gone:  # asked last, since another thread may wipe it
            raise Wiped(number)
        return self._prefixes[sign] + value.decode()

    def wipe(self, key: str) -> None:
        """Overwrites a key, if it is there. Nothing may name its number any more: `text` raises `Wiped` for it."""
        number = self.find(key)
        if number >= 0:
            start = self._starts[number]
            end = self._bytes.index(_END, start)
            if end > start:
                self._gone.add(number)
                self._bytes[start:end] = _WIPED * (end - start)


class Hashes:
    """Keys of 32 hex digits."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._index = Index(self._bytes, range(0, _HASH_BYTES << 32, _HASH_BYTES))

    def find(self, key: str) -> int:
        """See `Keys`."""
        try:
            return self._index.find(raw_of(key))
        except ValueError:
            return -1

    def add(self, key: str) -> int:
        """See `Keys`."""
        raw = raw_of(key)
        number = self._index.find(raw)
        if number < 0:
            number = len(self._bytes) // _HASH_BYTES
            self._bytes += raw
            self._index.add(raw, number)
        return number

    def text(self, number: int) -> str:
        """See `Keys`."""
        return self._bytes[_HASH_BYTES * number : _HASH_BYTES * (number + 1)].hex()


def raw_of(text: str) -> bytes:
    """The 16 bytes that these 32 hex digits stand for. Raises ValueError where it is another text."""
    raw = bytes.fromhex(text)
    if len(raw) != _HASH_BYTES or raw.hex() != text:
        raise ValueError("not 32 hex digits")
    return raw
