"""A journal in a file: what `siyu journal record` saves and a backtest reads.

In: journal records, bytes. Out: bytes, journal records. Never: the opening of a file; a clock; a look into a frame; a
recording that was cut short taken for a whole one.

Layout: a stream of MessagePack objects. First `["siyu.journal", version, {…}]`, then `[shard, offset, bytes]` a
record, in the order of offsets within a shard, and last `[-1, number of records, b""]`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO, NamedTuple

import msgpack

_MAGIC = "siyu.journal"
_VERSION = 1
_END = -1
_LARGEST = 1 << 30


class Header(NamedTuple):
    """`shards`: partitions of the journal; `recorded`: those in the file; `recorded_ms`: when, in Unix time."""

    shards: int
    recorded: tuple[int, ...]
    recorded_ms: int


class Recorded(NamedTuple):
    """One journal record: the frame's bytes, see `journal.frame`."""

    shard: int
    offset: int
    frame: bytes


class NoRecording(ValueError):
    """The file is no recording, is of another version, or ends early; the message is a sentence."""


def write(file: BinaryIO, header: Header, records: Iterable[Recorded]) -> int:
    """Writes a recording, and answers how many records it has."""
    packer = msgpack.Packer()
    file.write(packer.pack([_MAGIC, _VERSION, header._asdict()]))
    number = 0
    for record in records:
        file.write(packer.pack(record))
        number += 1
    file.write(packer.pack([_END, number, b""]))
    return number


def read(file: BinaryIO) -> tuple[Header, Iterator[Recorded]]:
    """The header, and the records as they are asked for; the file must stay open for as long.

    Raises:
        NoRecording: at once for a wrong head, while iterating for a wrong record or an early end.
    """
    unpacker = msgpack.Unpacker(file, use_list=False, max_buffer_size=_LARGEST)
    return _header(_next(unpacker)), _records(unpacker)


def _header(head: Any) -> Header:
    if not isinstance(head, tuple) or len(head) != 3 or head[0] != _MAGIC:
        raise NoRecording("this is not a recorded journal")
    if head[1] != _VERSION:
        raise NoRecording(f"this is a recording of version {head[1]}, version {_VERSION} is read here")
    try:
        return Header(**head[2])
    except TypeError:
        raise NoRecording("the recording has another header than its version says") from None


def _records(unpacker: Any) -> Iterator[Recorded]:
    number = 0
    while True:
        record = _record(_next(unpacker))
        if record.shard == _END:
            break
        yield record
        number += 1
    if record.offset != number:
        raise NoRecording(f"the recording has {number} records, and should have {record.offset}")


def _record(found: Any) -> Recorded:
    try:
        shard, offset, frame = found
    except (TypeError, ValueError):
        raise NoRecording("the recording holds something else than journal records") from None
    if type(shard) is not int or type(offset) is not int or not isinstance(frame, bytes):
        raise NoRecording("the recording holds something else than journal records")
    return Recorded(shard, offset, frame)


def _next(unpacker: Any) -> Any:
    try:
        return unpacker.unpack()
    except msgpack.OutOfData:
        raise NoRecording("the recording ends early: it was cut short") from None
    except (ValueError, msgpack.UnpackException) as error:
        raise NoRecording(f"this is not a recorded journal: {error}") from None
