"""Where a shard's rows live between commits: changed rows and the place in journal and changelog, in one write.

In: changes of a commit. Out: all rows, and the position that they stand for. Never: a write that is half there.

A store is a cache of the changelog: it may be lost, or behind, and is then filled from a snapshot and the changelog.
It is never ahead, since it is written after the changelog record is committed.
"""

from __future__ import annotations

import logging
import shutil
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import msgpack
from rocksdict import AccessType, Options, Rdict, WriteBatch, WriteOptions

from streams.journal.tables import Change
from streams.worker.state.origin import UNKNOWN, Origin
from streams.worker.state.packed import packer, unpack_all

log = logging.getLogger(__name__)

_OURS = b"\xff"
"""Begins our own keys: it is in no text, so they come after all rows, and the position is the last of them."""
_ORIGIN = _OURS + b"origin"
_POSITION = _OURS + b"position"
_HELD = ("While lock file", "lock hold by current process")
_DAMAGED = ("Corruption", "No such file or directory")
_CONDEMNED = "CONDEMNED"
_PART_ROWS = 1_000
_FLUSH_BYTES = 16 << 20
_MANIFEST_BYTES = 16 << 10


class Position(NamedTuple):
    """The next journal offset to fold, and the next changelog offset to read, that the rows stand for."""

    journal: int = 0
    changelog: int = 0


class Part(NamedTuple):
    """Some rows of one table."""

    table: str
    keys: Sequence[str]
    values: Sequence[Any]

    def changes(self) -> list[Change]:
        """The rows one by one."""
        return [Change(self.table, key, value) for key, value in zip(self.keys, self.values, strict=True)]


class StoreLocked(Exception):
    """Another process still holds the store: try again soon."""


class DamagedStore(Exception):
    """What is in the folder is not all that was written: `wipe` it, and restore."""


class Store(Protocol):
    """Rows of one shard. One owner; calls may block."""

    def position(self) -> Position:
        """What the rows stand for; zeros when it is empty."""

    def origin(self) -> Origin:
        """The topics that the position is of."""

    def bind(self, origin: Origin) -> None:
        """Notes the topics that the positions of all commits from now on are of."""

    def parts(self) -> Iterator[Part]:
        """All rows, in any order. Raises DamagedStore where some are lost, at the end at the latest."""

    def entries(self) -> int:
        """How many rows there are, about."""

    def commit(self, changes: Iterable[Change], position: Position) -> None:
        """Writes rows (None removes one) and position together: after a crash either all or nothing is there."""

    def size(self) -> int:
        """Bytes that it takes on disk, about."""

    def wipe(self) -> None:
        """Forgets everything, the origin too."""

    def close(self) -> None:
        """Lets the next owner in; safe to call twice."""


def rows_of(store: Store) -> Iterator[Change]:
    """All rows of a store, one by one."""
    return (change for part in store.parts() for change in part.changes())


class MemoryStore:
    """A store that is gone with the process: for tests and for a run that restores from the changelog anyway."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str], bytes] = {}
        self._position = Position()
        self._origin = UNKNOWN

    def position(self) -> Position:
        """See `Store`."""
        return self._position

    def origin(self) -> Origin:
        """See `Store`."""
        return self._origin

    def bind(self, origin: Origin) -> None:
        """See `Store`."""
        self._origin = origin

    def entries(self) -> int:
        """See `Store`."""
        return len(self._rows)

    def parts(self) -> Iterator[Part]:
        """See `Store`."""
        for (table, key), value in self._rows.items():
            yield Part(table, [key], unpack_all([value]))

    def commit(self, changes: Iterable[Change], position: Position) -> None:
        """See `Store`."""
        pack = packer()
        packed = [((table, key), None if value is None else pack(value)) for table, key, value in changes]
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
        self._origin = UNKNOWN

    def close(self) -> None:
        """See `Store`."""


class RocksStore:
    """A store in a folder of its own, by RocksDB; one that is damaged is begun anew, since the changelog has it all.

    It has no write-ahead log: what was committed since the last flush is gone with the process, and comes again from
    the changelog. So it has files of one kind only, and however many of the last are lost, what is left is the state
    after some commit (docs/decisions/0008). Raises StoreLocked where another process has the folder open.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._gone = folder.with_name(f"{folder.name}.gone")
        self._pack = packer()
        self._unlogged = WriteOptions()
        self._unlogged.disable_wal = True  # type: ignore[method-assign, assignment]  # a property, the stub errs
        folder.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(self._gone, ignore_errors=True)
        self._db: Any = None
        try:
            self._db = self._open()
        except DamagedStore as error:
            log.warning("%s; it is begun anew", error)
            self._remove()
            self._db = self._open()

    def _open(self) -> Rdict:
        with _told(self._folder):
            if (self._folder / _CONDEMNED).exists():
                raise DamagedStore(f"the store in {self._folder} could not be written to")
            return Rdict(str(self._folder), _options(), access_type=AccessType.read_write())

    def position(self) -> Position:
        """See `Store`."""
        with _told(self._folder):
            packed = self._db.get(_POSITION)
        return Position() if packed is None else Position(*msgpack.unpackb(packed))

    def origin(self) -> Origin:
        """See `Store`."""
        with _told(self._folder):
            packed = self._db.get(_ORIGIN)
        return UNKNOWN if packed is None else Origin(*msgpack.unpackb(packed))

    def bind(self, origin: Origin) -> None:
        """See `Store`."""
        self._db.put(_ORIGIN, msgpack.packb(origin), self._unlogged)

    def parts(self) -> Iterator[Part]:
        """See `Store`. An iterator that meets a damaged block just ends: then it has not come to the position."""
        items: Iterator[tuple[Any, Any]] = iter(self._db.items())  # bytes, since the store is raw
        last = b""
        try:
            with _told(self._folder):
                while keys_and_values := list(islice(items, _PART_ROWS)):
                    keys, values = zip(*keys_and_values, strict=True)
                    last = keys[-1]
                    yield from _parts(keys, values)
                if last != _POSITION and self._db.get(_POSITION) is not None:
                    raise DamagedStore(f"the store in {self._folder} can't be read to its end")
        finally:
            del items  # an iterator that lives on, if only in a traceback, keeps the folder locked after a close

    def entries(self) -> int:
        """See `Store`."""
        return int(self._db.property_int_value("rocksdb.estimate-num-keys") or 0)

    def commit(self, changes: Iterable[Change], position: Position) -> None:
        """See `Store`."""
        batch, pack = WriteBatch(raw_mode=True), self._pack
        for table, key, value in changes:
            name = f"{table}\x00{key}".encode()
            if value is None:
                batch.delete(name)
            else:
                batch.put(name, pack(value))
        batch.put(_POSITION, pack(position))
        self._write(batch)

    def _write(self, batch: WriteBatch) -> None:
        try:
            with _told(self._folder):
                self._db.write(batch, self._unlogged)
                if (self._db.property_int_value("rocksdb.cur-size-active-mem-table") or 0) > _FLUSH_BYTES:
                    self._db.flush(wait=False)
        except DamagedStore:  # met while compacting: what is read at the next open may be whole all the same
            (self._folder / _CONDEMNED).touch()
            raise

    def size(self) -> int:
        """See `Store`."""
        return sum(map(_size, self._folder.iterdir()))

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
        """See `Store`. What can't be flushed any more comes again from the changelog."""
        try:
            if self._db is not None:
                self._db.close()
        except Exception as error:  # met while compacting; only without the handle the folder is free then
            log.warning("the store in %s could not be closed in order: %s", self._folder, error)
        self._db = None


def _options() -> Options:
    """A manifest is begun anew before it is longer than a block of it, 32 KiB.

    A page of zeros within a block makes RocksDB pass over the rest of the block: all that is newer, then.
    """
    options = Options(raw_mode=True)
    options.set_max_manifest_file_size(_MANIFEST_BYTES)
    return options


@contextmanager
def _told(folder: Path) -> Iterator[None]:
    """RocksDB's errors by what is to be done about them."""
    try:
        yield
    except Exception as error:
        if any(words in str(error) for words in _HELD):
            raise StoreLocked(f"{folder} is still open in another process") from error
        if any(words in str(error) for words in _DAMAGED):
            raise DamagedStore(f"the store in {folder} is damaged: {error}") from error
        raise


def _size(file: Path) -> int:
    with suppress(FileNotFoundError):  # RocksDB removes files beside us
        return file.stat().st_size
    return 0


def _parts(keys: Sequence[bytes], values: Sequence[bytes]) -> Iterator[Part]:
    """Neighbours by their tables, without our own keys, which are the last."""
    start = 0
    while start < len(keys) and not keys[start].startswith(_OURS):
        table, mark, _ = keys[start].partition(b"\x00")
        end = bisect_left(keys, table + b"\x01", start)
        size = len(table + mark)
        yield Part(table.decode(), [key[size:].decode() for key in keys[start:end]], unpack_all(values[start:end]))
        start = end
