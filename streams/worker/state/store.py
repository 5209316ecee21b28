"""Where a shard's rows live between commits: changed rows and the place in journal and changelog, in one write.

In: changes of a commit. Out: all rows, and the position that they stand for. Never: a write that is half there.

A store is a cache of the changelog: it may be lost, or behind, and is then filled from the changelog. It is never
ahead, since it is written after the changelog record is committed.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

import msgpack
from rocksdict import AccessType, Options, Rdict, WriteBatch

from streams.journal.tables import Change

_POSITION = b"\x00position"


class Position(NamedTuple):
    """The next journal offset to fold, and the next changelog offset to read, that the rows stand for."""

    journal: int = 0
    changelog: int = 0


class StoreLocked(Exception):
    """Another process still holds the store: try again soon."""


class Store(Protocol):
    """Rows of one shard. One owner; calls may block."""

    def position(self) -> Position:
        """What the rows stand for; zeros when it is empty."""

    def rows(self) -> Iterator[Change]:
        """All rows, in any order."""

    def commit(self, changes: Iterable[Change], position: Position) -> None:
        """Writes rows (None removes one) and position together: after a crash either all or nothing is there."""

    def wipe(self) -> None:
        """Forgets everything."""

    def close(self) -> None:
        """Lets the next owner in; safe to call twice."""


class MemoryStore:
    """A store that is gone with the process: for tests and for a run that restores from the changelog anyway."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str], bytes] = {}
        self._position = Position()

    def position(self) -> Position:
        """See `Store`."""
        return self._position

    def rows(self) -> Iterator[Change]:
        """See `Store`."""
        for (table, key), value in self._rows.items():
            yield Change(table, key, _unpack(value))

    def commit(self, changes: Iterable[Change], position: Position) -> None:
        """See `Store`."""
        for table, key, value in changes:
            if value is None:
                self._rows.pop((table, key), None)
            else:
                self._rows[table, key] = msgpack.packb(value)
        self._position = position

    def wipe(self) -> None:
        """See `Store`."""
        self._rows.clear()
        self._position = Position()

    def close(self) -> None:
        """See `Store`."""


class RocksStore:
    """A store in a folder of its own, by RocksDB.

    Raises StoreLocked where another process has it open.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.parent.mkdir(parents=True, exist_ok=True)
        self._db = self._open()

    def _open(self) -> Rdict:
        try:
            return Rdict(str(self._folder), Options(raw_mode=True), access_type=AccessType.read_write())
        except Exception as error:
            if "lock" in str(error).lower():
                raise StoreLocked(f"{self._folder} is still open in another process") from error
            raise

    def position(self) -> Position:
        """See `Store`."""
        packed = self._db.get(_POSITION)
        return Position() if packed is None else Position(*msgpack.unpackb(packed))

    def rows(self) -> Iterator[Change]:
        """See `Store`."""
        for key, value in self._db.items():
            if key != _POSITION:
                table, _, name = key.partition(b"\x00")
                yield Change(table.decode(), name.decode(), _unpack(value))

    def commit(self, changes: Iterable[Change], position: Position) -> None:
        """See `Store`."""
        batch = WriteBatch(raw_mode=True)
        for table, key, value in changes:
            name = f"{table}\x00{key}".encode()
            if value is None:
                batch.delete(name)
            else:
                batch.put(name, msgpack.packb(value))
        batch.put(_POSITION, msgpack.packb(position))
        self._db.write(batch)

    def wipe(self) -> None:
        """See `Store`."""
        self.close()
        shutil.rmtree(self._folder, ignore_errors=True)
        self._db = self._open()

    def close(self) -> None:
        """See `Store`."""
        self._db.close()


def _unpack(packed: bytes) -> object:
    return msgpack.unpackb(packed, use_list=False)
