"""Where a shard's rows live between commits: changed rows and the place in journal and changelog, in one write.

In: changes of a commit. Out: all rows, and the position that they stand for. Never: a write that is half there.

A store is a cache of the changelog: it may be lost, or behind, and is then filled from the changelog. It is never
ahead, since it is written after the changelog record is committed.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import msgpack
from rocksdict import AccessType, DbClosedError, Options, Rdict, WriteBatch

from streams.journal.tables import Change

log = logging.getLogger(__name__)

_POSITION = b"\x00position"
_HELD = ("While lock file", "lock hold by current process")
_DAMAGED = ("Corruption", "No such file or directory")


class Position(NamedTuple):
    """The next journal offset to fold, and the next changelog offset to read, that the rows stand for."""

    journal: int = 0
    changelog: int = 0


class StoreLocked(Exception):
    """Another process still holds the store: try again soon."""


class DamagedStore(Exception):
    """What is in the folder can't be opened as a store."""


class Store(Protocol):
    """Rows of one shard. One owner; calls may block."""

    def position(self) -> Position:
        """What the rows stand for; zeros when it is empty."""

    def rows(self) -> Iterator[Change]:
        """All rows, in any order."""

    def commit(self, changes: Iterable[Change], position: Position) -> None:
        """Writes rows (None removes one) and position together: after a crash either all or nothing is there."""

    def size(self) -> int:
        """Bytes that it takes on disk, about."""

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
        packed = [((table, key), None if value is None else msgpack.packb(value)) for table, key, value in changes]
        for name, row in packed:
            if row is None:
                self._rows.pop(name, None)
            else:
                self._rows[name] = row
        self._position = position

    def size(self) -> int:
        """See `Store`."""
        return sum(map(len, self._rows.values()))

    def wipe(self) -> None:
        """See `Store`."""
        self._rows.clear()
        self._position = Position()

    def close(self) -> None:
        """See `Store`."""


class RocksStore:
    """A store in a folder of its own, by RocksDB; one that is damaged is begun anew, since the changelog has it all.

    A commit survives the end of the process at once. One that a power cut takes, with all that came after it, comes
    again from the changelog. Raises StoreLocked where another process has the folder open.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._gone = folder.with_name(f"{folder.name}.gone")
        folder.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(self._gone, ignore_errors=True)
        try:
            self._db = self._open()
        except DamagedStore as error:
            log.warning("%s; it is restored from the changelog", error)
            self._remove()
            self._db = self._open()

    def _open(self) -> Rdict:
        try:
            return Rdict(str(self._folder), Options(raw_mode=True), access_type=AccessType.read_write())
        except Exception as error:
            if any(words in str(error) for words in _HELD):
                raise StoreLocked(f"{self._folder} is still open in another process") from error
            if any(words in str(error) for words in _DAMAGED):
                raise DamagedStore(f"the store in {self._folder} is damaged: {error}") from error
            raise

    def position(self) -> Position:
        """See `Store`."""
        packed = self._db.get(_POSITION)
        return Position() if packed is None else Position(*msgpack.unpackb(packed))

    def rows(self) -> Iterator[Change]:
        """See `Store`."""
        rows: Iterator[tuple[Any, Any]] = iter(self._db.items())  # bytes, since the store is raw
        for key, value in rows:
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

    def size(self) -> int:
        """See `Store`."""
        return sum(entry.stat().st_size for entry in os.scandir(self._folder) if entry.is_file())

    def wipe(self) -> None:
        """See `Store`."""
        self.close()
        self._remove()
        self._db = self._open()

    def _remove(self) -> None:
        """Whole or not at all: of files that were removed one by one, a crash could leave some that still open."""
        self._folder.rename(self._gone)
        shutil.rmtree(self._gone, ignore_errors=True)

    def close(self) -> None:
        """See `Store`."""
        with suppress(DbClosedError):
            self._db.close()


def _unpack(packed: bytes) -> object:
    return msgpack.unpackb(packed, use_list=False)
