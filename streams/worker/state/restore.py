"""Brings a shard's store to the committed end of its changelog.

In: a store, the snapshots, the changelog. Out: all rows as tables, and the position to fold from.
Never: a record of a transaction that was not committed; a state that lacks what was deleted of the changelog; trust in
a store or a snapshot of other topics than those that are there.

It begins with the local store, where that is whole and the changelog has all that comes after it; else with the newest
snapshot of which that holds; else at the changelog's beginning, if that is still there.
"""

from __future__ import annotations

import gc
import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from confluent_kafka import Consumer, TopicPartition

from streams.journal.tables import Tables
from streams.worker.state.archive import Archive, Kept
from streams.worker.state.changelog import Assembler
from streams.worker.state.log import OtherLog
from streams.worker.state.origin import UNKNOWN, Origin, is_trusted
from streams.worker.state.store import DamagedStore, Part, Position, Store, loaded
from streams.worker.state.tail import Bounds, Changelog, ChangelogUnavailable, KafkaChangelog
from streams.worker.work import Abandoned

log = logging.getLogger(__name__)

T = TypeVar("T")

Told = Callable[[str, int, int], None]
"""Hears of progress: what is read (store, snapshot, changelog), how much of it has been, of how much about."""


class Unrestorable(Exception):
    """What was deleted of the changelog is nowhere else: going on would lose state without a word."""


class Restored(NamedTuple):
    """A shard's rows, and what they stand for."""

    tables: Tables
    position: Position


def restore(
    store: Store,
    consumer: Consumer,
    partition: TopicPartition,
    stopping: threading.Event,
    *,
    archive: Archive | None = None,
    here: Origin = UNKNOWN,
    told: Told = lambda part, done, of: None,
) -> Restored:
    """Reads what the store lacks into it; answers all its rows.

    `consumer` reads committed records only, reports partition ends, and belongs to this call; it is closed.

    Raises:
        ChangelogUnavailable: the broker answered with an error, or not at all.
        Abandoned: `stopping` was set.
        OtherLog: the state is of a journal or changelog that was made anew.
        Unrestorable: the changelog's beginning was deleted, and nothing reaches it.
    """
    try:
        return Restore(store, KafkaChangelog(consumer, partition, stopping), archive, here, told).run()
    finally:
        consumer.close()


@contextmanager
def without_collection() -> Iterator[None]:
    """For building millions of rows: Python's collector would look at them all again and again, and free none.

    Measured, an engine over a million rows is there in half of the time.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@dataclass(frozen=True, slots=True)
class Restore:
    """One restore, of whatever changelog; see `restore`."""

    store: Store
    changelog: Changelog
    archive: Archive | None
    here: Origin
    told: Told

    def run(self) -> Restored:
        """See `restore`."""
        try:
            return self._run()
        except DamagedStore as error:  # met while writing to it
            log.warning("%s; restoring once more, without it", error)
            self._begin_anew()
            return self._run()

    def _run(self) -> Restored:
        bounds = self.changelog.bounds()
        tables = self._from_store(bounds)
        if tables is None and self.archive is not None:
            tables = self._from_snapshots(self.archive, bounds)
        if tables is None and bounds.first > 0:
            raise Unrestorable(
                f"{self.changelog.name} begins at offset {bounds.first}: what was before was deleted, and neither the "
                "local store nor a snapshot reaches that far. Bring the snapshots back, or set where they are"
            )
        tables = self.store.tables() if tables is None else tables
        self._catch_up(tables, bounds)
        return Restored(tables, self.store.position())

    def _from_store(self, bounds: Bounds) -> Tables | None:
        """Its rows, if it can be trusted and the changelog goes on from it; else it is begun anew."""
        try:
            position = self.store.position()
            if position != Position() and self._is_trusted(self.store.origin(), "the local store", bounds):
                if bounds.first <= position.changelog <= bounds.end:
                    tables = self._loaded_from_store()
                    self.store.bind(self.here)
                    return tables
                log.warning("%s does not go on from the local store at %d", self.changelog.name, position.changelog)
        except DamagedStore as error:
            log.warning("%s; it is begun anew", error)
        self._begin_anew()
        return None

    def _loaded_from_store(self) -> Tables:
        store, told = self.store, self.told
        of = store.entries()
        store.ready(lambda done: told("index", done, of))
        of = store.entries()
        return loaded(store, lambda done: told("store", done, of))

    def _begin_anew(self) -> None:
        self.store.wipe()
        self.store.bind(self.here)

    def _is_trusted(self, noted: Origin, what: str, bounds: Bounds) -> bool:
        trusted = is_trusted(noted, self.here, what, empty=bounds.end == 0)
        if not trusted:
            log.warning("%s is of other topics than %s: %s, not %s", what, self.changelog.name, noted, self.here)
        return trusted

    def _filled(self, parts: Iterable[Part], of: int) -> Tables:
        tables, done = self.store.tables(), 0
        for part in parts:
            if part.table not in tables.elsewhere:
                tables.table(part.table).fill(part.keys, part.values)
            done += len(part.keys)
            self.told("snapshot", done, of)
        return tables

    def _from_snapshots(self, archive: Archive, bounds: Bounds) -> Tables | None:
        """The rows of the newest snapshot that can be read and gone on from, in the store too; None without one."""
        for kept in _asked(archive.kept):
            if bounds.first <= kept.changelog <= bounds.end:
                try:
                    if (tables := self._loaded(archive, kept, bounds)) is not None:
                        return tables
                except (Abandoned, OtherLog, DamagedStore):
                    raise
                except Exception as error:  # whatever the place's driver raises
                    log.warning("snapshot %s can't be used: %s", kept.path, error)
                    self._begin_anew()
        for changelog in _asked(archive.others) if bounds.end == 0 else ():
            self._is_trusted(self.here._replace(changelog=changelog), "a snapshot", bounds)
        return None

    def _loaded(self, archive: Archive, kept: Kept, bounds: Bounds) -> Tables | None:
        with archive.load(kept) as (header, parts):
            if not self._is_trusted(header.origin, kept.path, bounds):
                return None
            tables = self._filled(self._stored(parts), header.rows)
        self.store.commit([], header.position)
        log.info("restored %d rows from snapshot %s", header.rows, kept.path)
        return tables

    def _stored(self, parts: Iterable[Part]) -> Iterator[Part]:
        """The parts, each in the store when it is handed on; there they stand for nothing before all of them are."""
        for part in parts:
            self.store.commit(part.changes(), Position())
            yield part

    def _catch_up(self, tables: Tables, bounds: Bounds) -> None:
        start = self.store.position().changelog
        assembler = Assembler()
        for offset, value in self.changelog.records(start, bounds.end):
            commit = assembler.add(value)
            if commit is not None:
                self._is_trusted(self.here._replace(journal=commit.of or self.here.journal), "the changelog", bounds)
                self.store.commit(commit.changes, Position(commit.journal, offset + 1))
                tables.take(commit.changes)
                self.told("changelog", offset + 1 - start, max(bounds.end, offset + 1) - start)
        if self.changelog.bounds().first > start:
            raise ChangelogUnavailable(f"{self.changelog.name} was cut off while it was read")


def _asked(place: Callable[[], list[T]]) -> list[T]:
    """What a place of snapshots lists; nothing, said aloud, while it can't."""
    try:
        return place()
    except Exception as error:  # whatever the place's driver raises
        log.warning("the place of snapshots can't be read: %s", error)
        return []
