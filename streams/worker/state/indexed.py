"""The rows of a store one by one, and what is asked of them by anything else than their keys.

In: a store's bytes by name, the changes of a commit. Out: rows, keys in order, what an index has; the writes that keep
the indices and the numbers of rows in step with a commit, to go into the same batch.
Never: an index that is of another commit than the rows.

A name is `table, NUL, key`. An entry of an index begins with U+FF and "i", so it comes after all rows and before the
position. The note of how many rows there are bears the position: where that is not the store's, somebody wrote to the
store without keeping the indices, and they are made anew.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import msgpack
from rocksdict import WriteBatch

from streams.compact.cold import OF_IDS, VISITS, Unreadable, entries
from streams.worker.state.packed import unpack_all

OURS = b"\xff"
"""Begins our own keys: it is in no text, so they come after all rows."""
_COUNTED = OURS + b"counted"
_INDEX = OURS + b"i"
_NEXT = OURS + b"j"
_LENGTH_BYTES = 4
_BATCH = 10_000
_MANY = 1_000
_FEW = 8
"""What one name has in an index, nearly always."""
_ENTRIES_EACH = {"nodes": 2, "beside": 4}
"""Rows and entries of the index for a row, about."""


class Bytes(Protocol):
    """What a store has, by name. Every call may raise DamagedStore."""

    def read(self, name: bytes) -> bytes | None:
        """The value; None where there is none."""

    def read_all(self, names: list[bytes]) -> list[bytes | None]:
        """The values in this order."""

    def scan(self, start: bytes, stop: bytes, part: int = _MANY) -> Iterator[tuple[Sequence[bytes], Sequence[bytes]]]:
        """What there is now from `start` to before `stop`, in parts that are read when they are due."""

    def write(self, batch: WriteBatch) -> None:
        """Writes all of it, or nothing."""


class Indexed:
    """Implements `Cold` over a store."""

    def __init__(self, store: Bytes, damaged: type[Exception]) -> None:
        self._store = store
        self._damaged = damaged
        self._counts: Counter[str] = Counter()
        self._next: Counter[str] = Counter()

    # Reading

    def row(self, table: str, key: str) -> Any:
        """See `Cold`."""
        try:
            packed = self._store.read(name_of(table, key))
        except self._damaged as error:
            raise Unreadable(str(error)) from error
        return None if packed is None else msgpack.unpackb(packed, use_list=False)

    def keys(self, table: str, prefix: str = "") -> Iterator[str]:
        """See `Cold`."""
        found, size = self._scanned(name_of(table, prefix), _FEW if prefix else _MANY), len(name_of(table, ""))
        return (key[size:].decode() for keys, _ in found for key in keys)

    def parts(self, table: str) -> Iterator[tuple[list[str], list[Any]]]:
        """See `Cold`."""
        found, size = self._scanned(name_of(table, ""), _MANY), len(name_of(table, ""))
        return (([key[size:].decode() for key in keys], list(unpack_all(values))) for keys, values in found)

    def named(self, index: str, name: str) -> list[str]:
        """See `Cold`."""
        start = _entry(index, name, "")
        found = self._scanned(start, _MANY if index == VISITS else _FEW)
        return [key[len(start) :].decode() for keys, _ in found for key in keys]

    def _scanned(self, prefix: bytes, part: int) -> Iterator[tuple[Sequence[bytes], Sequence[bytes]]]:
        found = self._store.scan(prefix, after(prefix), part)
        return self._read(found)

    def _read(
        self, found: Iterator[tuple[Sequence[bytes], Sequence[bytes]]]
    ) -> Iterator[tuple[Sequence[bytes], Sequence[bytes]]]:
        try:
            yield from found
        except self._damaged as error:
            raise Unreadable(str(error)) from error

    def count(self, table: str) -> int:
        """See `Cold`."""
        return self._counts[table]

    def entries(self) -> int:
        """How many rows of these tables and entries there are, about."""
        return sum(_ENTRIES_EACH.get(table, 1) * rows for table, rows in self._counts.items())

    # Writing

    def note(self, batch: WriteBatch, changes: Mapping[tuple[str, str], Any], position: bytes) -> None:
        """What a commit is to write beside these rows; `written` tells that it has."""
        self._next = self._counts.copy()
        mine = [name for name in changes if name[0] in OF_IDS]
        before = self._store.read_all([name_of(*name) for name in mine]) if mine else []
        for (table, key), packed in zip(mine, before, strict=True):
            row = changes[table, key]
            was = () if packed is None else entries(table, key, msgpack.unpackb(packed, use_list=False))
            now = set(() if row is None else entries(table, key, row))
            for gone in set(was) - now:
                batch.delete(_entry(*gone))
            for new in now.difference(was):
                batch.put(_entry(*new), b"")
            self._next[table] += (row is not None) - (packed is not None)
        self._count(batch, position)

    def _count(self, batch: WriteBatch, position: bytes) -> None:
        batch.put(_COUNTED, msgpack.packb([position, dict(self._next)]))

    def written(self) -> None:
        """The commit was written."""
        self._counts = self._next

    def begin(self) -> None:
        """The store is empty."""
        self._counts = Counter()

    def ready(self, position: bytes, told: Callable[[int], None]) -> None:
        """Makes sure that the indices are of this position; `told` hears of rows that were looked at for it."""
        noted = self._store.read(_COUNTED)
        of, counts = (b"", {}) if noted is None else msgpack.unpackb(noted)
        if of == position:
            self._counts = Counter(counts)
        else:
            self._make_anew(position, told)

    def _make_anew(self, position: bytes, told: Callable[[int], None]) -> None:
        batch, done = WriteBatch(raw_mode=True), 0
        batch.delete_range(_INDEX, _NEXT)
        self._next = Counter()
        for table in OF_IDS:
            for keys, values in self._store.scan(name_of(table, ""), after(name_of(table, ""))):
                for key, row in zip(keys, unpack_all(values), strict=True):
                    for entry in entries(table, key[len(name_of(table, "")) :].decode(), row):
                        batch.put(_entry(*entry), b"")
                self._next[table] += len(keys)
                done += len(keys)
                told(done)
                batch = self._written_if_long(batch)
        self._count(batch, position)
        self._store.write(batch)
        self.written()

    def _written_if_long(self, batch: WriteBatch) -> WriteBatch:
        if len(batch) < _BATCH:
            return batch
        self._store.write(batch)
        return WriteBatch(raw_mode=True)


def name_of(table: str, key: str) -> bytes:
    """Under which a row stands."""
    return f"{table}\x00{key}".encode()


def after(prefix: bytes) -> bytes:
    """What comes after all that begins so; the last byte is not the greatest."""
    return prefix[:-1] + bytes([prefix[-1] + 1])


def up_to(stop: bytes, keys: Sequence[bytes], values: Sequence[bytes]) -> tuple[Sequence[bytes], Sequence[bytes]]:
    """Those before `stop`."""
    end = bisect_left(keys, stop)
    return keys[:end], values[:end]


def _entry(index: str, name: str, entry: str) -> bytes:
    """The name's length stands before it, so that no name begins another one's entries."""
    raw = name.encode()
    return b"".join((_INDEX, index.encode(), len(raw).to_bytes(_LENGTH_BYTES, "big"), raw, entry.encode()))
