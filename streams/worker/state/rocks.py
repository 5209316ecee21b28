"""A store in a folder, by RocksDB.

In: changes of a commit. Out: rows, all or one by one, and the position that they stand for.
Never: a write-ahead log; a file that was found damaged used again.
"""

from __future__ import annotations

import logging
import shutil
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any
from weakref import WeakSet

import msgpack
from rocksdict import Rdict, WriteBatch, WriteOptions

from streams.journal.tables import Change, Tables
from streams.worker.state.database import opened, telling
from streams.worker.state.indexed import OURS, Indexed, after, name_of, up_to
from streams.worker.state.origin import UNKNOWN, Origin
from streams.worker.state.packed import packer, unpack_all
from streams.worker.state.store import DamagedStore, Part, Position, StoreClosed

log = logging.getLogger(__name__)

_ORIGIN = OURS + b"origin"
_POSITION = OURS + b"position"
"""The last key of all."""
_CONDEMNED = "CONDEMNED"
_PART_ROWS = 1_000
_FLUSH_BYTES = 16 << 20
_Raw = tuple[Sequence[bytes], Sequence[bytes]]


class RocksStore:
    """A store in a folder of its own, by RocksDB; one that is damaged is begun anew, since the changelog has it all.

    It has no write-ahead log: what was committed since the last flush is gone with the process, and comes again from
    the changelog. So it has files of one kind only, and however many of the last are lost, what is left is the state
    after some commit (docs/decisions/0008). Raises StoreLocked where another process has the folder open.

    `memory_rows`: if not 0, rows of the tables of ids are read from here, and so many are at hand (see `Tables`).
    """

    def __init__(self, folder: Path, memory_rows: int = 0) -> None:
        self._folder = folder
        self._memory_rows = memory_rows
        self._indexed = Indexed(self, DamagedStore) if memory_rows else None
        self._scans: WeakSet[_Scan] = WeakSet()
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
        if (self._folder / _CONDEMNED).exists():
            raise DamagedStore(f"the store in {self._folder} could not be written to")
        return opened(self._folder, filtered=self._indexed is not None)

    def position(self) -> Position:
        """See `Store`."""
        packed = self.read(_POSITION)
        return Position() if packed is None else Position(*msgpack.unpackb(packed))

    def origin(self) -> Origin:
        """See `Store`."""
        packed = self.read(_ORIGIN)
        return UNKNOWN if packed is None else Origin(*msgpack.unpackb(packed))

    def read(self, name: bytes) -> bytes | None:
        """See `Bytes`."""
        try:
            found: bytes | None = self._db.get(name)
        except Exception:  # not by `with`, which would take as long as the look itself
            with self._condemning():
                raise
        return found

    def read_all(self, names: list[bytes]) -> list[bytes | None]:
        """See `Bytes`."""
        with self._condemning():
            found: list[bytes | None] = self._db.get(names)
            return found

    def scan(self, start: bytes, stop: bytes, part: int = _PART_ROWS) -> Iterator[_Raw]:
        """See `Bytes`. `stop` is not after the position."""
        scan = _Scan(self._db.items(from_key=start))
        self._scans.add(scan)
        return self._parts_of(scan, stop, part)

    def _parts_of(self, scan: _Scan, stop: bytes, part: int) -> Iterator[_Raw]:
        """An iterator that meets a damaged block just ends: then it has not come to what is there at `stop`."""
        try:
            keys: Sequence[bytes] = ()
            with self._condemning():
                while found := scan.next(part):
                    keys, values = zip(*found, strict=True)
                    yield up_to(stop, keys, values)
                    if keys[-1] >= stop:
                        return
                    part = min(_PART_ROWS, 4 * part)
                if self._db.get(_POSITION) is not None:
                    raise DamagedStore(f"the store in {self._folder} can't be read to its end")
        finally:
            scan.end()

    def bind(self, origin: Origin) -> None:
        """See `Store`."""
        self._db.put(_ORIGIN, msgpack.packb(origin), self._unlogged)

    def tables(self) -> Tables:
        """See `Store`."""
        return Tables() if self._indexed is None else Tables(most_at_hand=self._memory_rows, cold=self._indexed)

    def ready(self, told: Callable[[int], None]) -> None:
        """See `Store`."""
        if self._indexed is not None:
            self._indexed.ready(self._pack(self.position()), told)

    def parts(self, without: Collection[str] = ()) -> Iterator[Part]:
        """See `Store`."""
        start = b""
        for table in sorted(without):
            yield from self._parts_between(start, name_of(table, ""))
            start = after(name_of(table, ""))
        yield from self._parts_between(start, OURS)

    def _parts_between(self, start: bytes, stop: bytes) -> Iterator[Part]:
        for keys, values in self.scan(start, stop):
            yield from _parts(keys, values)

    def entries(self) -> int:
        """See `Store`."""
        kept = self._indexed.entries() if self._indexed is not None else 0
        return max(0, int(self._db.property_int_value("rocksdb.estimate-num-keys") or 0) - kept)

    def commit(self, changes: Iterable[Change], position: Position) -> None:
        """See `Store`."""
        batch, pack = WriteBatch(raw_mode=True), self._pack
        last = {(table, key): value for table, key, value in changes}
        for name, value in last.items():
            if value is None:
                batch.delete(name_of(*name))
            else:
                batch.put(name_of(*name), pack(value))
        stands = pack(position)
        batch.put(_POSITION, stands)
        if self._indexed is not None:
            self._indexed.note(batch, last, stands)
        self.write(batch)
        if self._indexed is not None:
            self._indexed.written()

    def write(self, batch: WriteBatch) -> None:
        """See `Bytes`."""
        with self._condemning():
            self._db.write(batch, self._unlogged)
            if (self._db.property_int_value("rocksdb.cur-size-active-mem-table") or 0) > _FLUSH_BYTES:
                self._db.flush(wait=False)

    @contextmanager
    def _condemning(self) -> Iterator[None]:
        """What is damaged is not to be used again: what is read at the next opening may be whole all the same."""
        try:
            with telling(self._folder):
                yield
        except DamagedStore:
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
        if self._indexed is not None:
            self._indexed.begin()

    def _remove(self) -> None:
        """Whole or not at all: of files that were removed one by one, a crash could leave some that still open."""
        self._folder.rename(self._gone)
        shutil.rmtree(self._gone, ignore_errors=True)

    def close(self) -> None:
        """See `Store`. What can't be flushed any more comes again from the changelog."""
        for scan in list(self._scans):
            scan.end()
        try:
            if self._db is not None:
                self._db.close()
        except Exception as error:  # met while compacting; only without the handle the folder is free then
            log.warning("the store in %s could not be closed in order: %s", self._folder, error)
        self._db = None


class _Scan:
    """An iterator that others can end: one that lives on, if only in a traceback, keeps the folder locked."""

    def __init__(self, items: Iterable[tuple[Any, Any]]) -> None:
        self._items: Iterator[tuple[bytes, bytes]] | None = iter(items)  # bytes, since the store is raw

    def next(self, most: int) -> list[tuple[bytes, bytes]]:
        """The next of them; none at the end."""
        items = self._items
        if items is None:
            raise StoreClosed("the store was closed while it was read")
        return list(islice(items, most))

    def end(self) -> None:
        """No more of it is wanted."""
        self._items = None


def _size(file: Path) -> int:
    with suppress(FileNotFoundError):  # RocksDB removes files beside us
        return file.stat().st_size
    return 0


def _parts(keys: Sequence[bytes], values: Sequence[bytes]) -> Iterator[Part]:
    """Neighbours by their tables."""
    start = 0
    while start < len(keys):
        table, mark, _ = keys[start].partition(b"\x00")
        end = bisect_left(keys, table + b"\x01", start)
        size = len(table + mark)
        yield Part(table.decode(), [key[size:].decode() for key in keys[start:end]], unpack_all(values[start:end]))
        start = end
