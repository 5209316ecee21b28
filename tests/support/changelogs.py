"""A shard's changelog in memory, as Kafka keeps one: offsets with gaps, a beginning that may be deleted.

In: commits. Out: its records from an offset on. Never: a broker.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import msgpack

from streams.journal.tables import Change
from streams.worker.state.changelog import Commit, pack
from streams.worker.state.store import Store
from streams.worker.state.tail import Bounds

Rows = dict[tuple[str, str], Any]


class MemoryChangelog:
    """Implements `Changelog`. Every commit takes an offset more, as a transaction does with its marker."""

    name = "changelog in memory"

    def __init__(self) -> None:
        self._records: dict[int, bytes] = {}
        self._first = 0
        self._end = 0
        self.on_read: Callable[[], None] = lambda: None
        """Called before each record that is read: what others do meanwhile."""

    def append(self, commit: Commit, cut_short: bool = False) -> int:
        """Writes a commit, or all but its last part; the next offset to read after it."""
        parts = pack(commit)
        for value in parts[:-1] if cut_short else parts:
            self._records[self._end] = value
            self._end += 1
        after = self._end
        self._end += 1
        return after

    def delete_below(self, offset: int) -> None:
        """What Kafka's DeleteRecords does."""
        self._first = max(self._first, offset)
        self._records = {at: value for at, value in self._records.items() if at >= offset}

    def bounds(self) -> Bounds:
        """See `Changelog`."""
        return Bounds(self._first, self._end)

    def records(self, start: int, end: int) -> Iterator[tuple[int, bytes]]:
        """See `Changelog`. From below the beginning it goes on at the beginning, as Kafka's consumers do."""
        at = start
        while at < self._end:
            self.on_read()
            at = max(at, self._first)
            if at in self._records:
                yield at, self._records[at]
            at += 1


def by_key(rows: Iterable[Change]) -> Rows:
    """Rows by table and key; each must be there once."""
    found: Rows = {}
    for table, key, value in rows:
        assert (table, key) not in found
        found[table, key] = value
    return found


def rows_of(store: Store) -> Rows:
    """All rows of a store."""
    return by_key(change for part in store.parts() for change in part.changes())


def after(rows: Mapping[tuple[str, str], Any], changes: Iterable[Change]) -> Rows:
    """These rows after these changes, as MessagePack gives them back."""
    changed = dict(rows)
    for table, key, value in changes:
        changed.pop((table, key), None)
        if value is not None:
            changed[table, key] = msgpack.unpackb(msgpack.packb(value), use_list=False)
    return changed
