"""The changelog: what each commit changed, as Kafka records from which a shard's rows are restored on any host.

In: changes and the journal offset that they stand for. Out: record values, and the changes back.
Never: a call to the broker (see `restore` and `output`).

A commit is one record, or several parts where it is big; only the last part carries it out. A commit that was cut
short (a crash on a broker without transactions) is begun again from its first part.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import msgpack

from streams.journal.tables import Change
from streams.worker.state.packed import packer, unpack_all

_VERSION = 2
_READ = (1, 2)
PART_BYTES = 1_000_000


class Commit(NamedTuple):
    """Everything that one commit changed; `journal` is the next offset to fold after it, of the topic with id `of`."""

    journal: int
    changes: list[Change]
    of: str = ""


def pack(commit: Commit) -> list[bytes]:
    """The commit as record values in order, each of about PART_BYTES at most."""
    groups = list(_groups(commit.changes)) or [[]]
    last = len(groups) - 1
    return [
        msgpack.packb([_VERSION, commit.journal, number, number == last, group, commit.of])
        for number, group in enumerate(groups)
    ]


def _groups(changes: Iterable[Change]) -> Iterator[list[bytes]]:
    group: list[bytes] = []
    size, pack_one = 0, packer()
    for change in changes:
        packed = pack_one(change)
        group.append(packed)
        size += len(packed)
        if size >= PART_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


class Assembler:
    """Puts parts together again."""

    def __init__(self) -> None:
        self._journal = -1
        self._parts: list[list[bytes]] = []

    def add(self, value: bytes) -> Commit | None:
        """The commit, if this part completes one.

        Raises:
            ValueError: the record is of a version that this code does not know.
        """
        version, journal, number, last, group, *of = msgpack.unpackb(value)
        if version not in _READ:
            raise ValueError(f"changelog record of version {version}, this worker reads up to version {_VERSION}")
        if number == 0:
            self._journal, self._parts = journal, []
        if number != len(self._parts) or journal != self._journal:
            self._parts = []
            return None
        self._parts.append(group)
        if not last:
            return None
        changes = [Change(*row) for part in self._parts for row in unpack_all(part)]
        return Commit(journal, changes, *of)
