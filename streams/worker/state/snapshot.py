"""One snapshot as a file: all rows of a shard at one position, compressed, each part with a checksum.

In: rows and what they stand for, or a file. Out: the file's parts, or the rows back.
Never: rows of a part that is not as it was written; a file that lacks its end taken for a whole one.

A part is its length (4 bytes), its checksum (8 bytes, seeded with that of the part before, so that none can be missing,
doubled or moved) and MessagePack in zstd: first the header, then rows; a part of length 0 is the end.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import IO, Any, NamedTuple

import cramjam
import msgpack
from xxhash import xxh3_64_intdigest

from streams.journal.tables import Tables
from streams.worker.state.origin import Origin
from streams.worker.state.store import Part, Position

_MAGIC = b"siyu state 1\n"
_HEAD = struct.Struct(">IQ")
_ROWS = 500
"""Of a part; a row has 100 bytes, or 64 KB where it holds hashes of seen events."""
_LEVEL = 1


class UnusableSnapshot(Exception):
    """The file is not as it was written, or of a version that this code does not know."""


class Header(NamedTuple):
    """What a snapshot is of: its `rows` are those of `shard` at `position`, in the topics of `origin`.

    `begun_ms` is the wall time when it was taken; it only tells when the next one is due. `erasures`: how often a node
    had been erased by then; one from before it was noted says 0.
    """

    shard: int
    position: Position
    origin: Origin
    rows: int
    begun_ms: int
    erasures: int = 0


def view(tables: Tables) -> Iterator[Part]:
    """The tables as they are now: rows by reference, packed ones copied as such."""
    return (Part(*part) for part in tables.frozen())


def write(header: Header, rows: Iterable[Part]) -> Iterator[bytes]:
    """The file in pieces, each made in some milliseconds."""
    yield _MAGIC
    checksum = 0
    for content in _contents(header, rows):
        packed = bytes(cramjam.zstd.compress(msgpack.packb(content), level=_LEVEL))
        checksum = xxh3_64_intdigest(packed, checksum)
        yield _HEAD.pack(len(packed), checksum) + packed
    yield _HEAD.pack(0, xxh3_64_intdigest(b"", checksum))


def _contents(header: Header, rows: Iterable[Part]) -> Iterator[Any]:
    yield header
    for table, keys, values in rows:
        for at in range(0, len(keys), _ROWS):
            yield Part(table, keys[at : at + _ROWS], values[at : at + _ROWS])


def read(file: IO[bytes]) -> tuple[Header, Iterator[Part]]:
    """The header, and the rows in parts.

    Raises UnusableSnapshot, also while the parts are read: what was read before it must be thrown away.
    """
    contents = (msgpack.unpackb(bytes(cramjam.zstd.decompress(packed)), use_list=False) for packed in _parts(file))
    shard, position, origin, *rest = next(contents)
    return Header(shard, Position(*position), Origin(*origin), *rest), (Part(*content) for content in contents)


def verify(file: IO[bytes]) -> None:
    """Reads all of it. Raises UnusableSnapshot."""
    for _ in _parts(file):
        pass


def _parts(file: IO[bytes]) -> Iterator[bytes]:
    """The parts as they were packed, the header first, each after its checksum."""
    if file.read(len(_MAGIC)) != _MAGIC:
        raise UnusableSnapshot("it is no snapshot that this worker can read")
    checksum, length = 0, -1
    while length:
        head = file.read(_HEAD.size)
        length, told = _HEAD.unpack(head) if len(head) == _HEAD.size else (0, -1)
        packed = file.read(length)
        checksum = xxh3_64_intdigest(packed, checksum)
        if len(packed) != length or checksum != told:
            raise UnusableSnapshot("a part of it is damaged or missing")
        if length:
            yield packed
    if file.read(1):
        raise UnusableSnapshot("there is something behind its end")
