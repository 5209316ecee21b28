"""The engine's work on one journal partition: restore, fold, commit.

In: journal frames. Out: one commit a batch: outputs and changelog in a transaction, then the local store.
Never: a frame folded twice into the state, or an acknowledgement before the commit.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from confluent_kafka import Consumer, TopicPartition

from schemas.registry import Registry
from streams.engine import Engine
from streams.isolate import Isolating
from streams.journal.frame import decode_frame
from streams.journal.tables import Tables
from streams.poison import Poisoned
from streams.settings import Settings
from streams.topics import CHANGELOG, JOURNAL
from streams.worker.clients import consumer_config
from streams.worker.config import engine_config
from streams.worker.figures import Figures
from streams.worker.output import Output
from streams.worker.state.archive import Archive
from streams.worker.state.changelog import Commit
from streams.worker.state.log import Log
from streams.worker.state.origin import UNKNOWN, Origin, origin_of
from streams.worker.state.progress import Progress
from streams.worker.state.restore import restore, without_collection
from streams.worker.state.rocks import RocksStore
from streams.worker.state.snapshots import Snapshots, erasures_of
from streams.worker.state.store import DamagedStore, Position, Store, StoreLocked, loaded
from streams.worker.state.tail import delete_below
from streams.worker.telemetry import Telemetry
from streams.worker.unended import end_lost, take_back_lost
from streams.worker.work import Abandoned, Item

log = logging.getLogger(__name__)

_LOCK_PATIENCE_S = 30.0


class Fold:
    """`Work` of one shard."""

    def __init__(self, shard: int, settings: Settings, registry: Registry, telemetry: Telemetry) -> None:
        self._shard = shard
        self._settings = settings
        self._registry = registry
        self._telemetry = telemetry
        self._store: Store | None = None
        self._output: Output | None = None
        self._isolating: Isolating | None = None
        self._snapshots: Snapshots | None = None
        self._here = UNKNOWN
        self.waits_for = ""
        self._figures = Figures(shard, telemetry)
        self._stopping = threading.Event()
        self._restoring = Progress(shard, telemetry, self._stopping)
        self._journal = Log(settings, JOURNAL, shard, self.number)

    def open(self) -> int:
        """Fences the last owner, restores the rows; the next journal offset to fold.

        Raises Abandoned when it is to stop, OtherLog where the state is of another journal or changelog than the ones
        that are there, Unrestorable where what was deleted of the changelog is nowhere else.
        """
        self._output = Output(self._shard, self._settings.kafka, self._registry)
        folder = self._settings.data / "state" / f"shard-{self._shard:04d}"
        self._store = _opened(folder, self._stopping, self._settings.engine.memory_rows)
        self._here = origin_of(self._settings)
        if self._settings.kafka.transactions:
            end_lost(self._settings, self._shard, self._output, _stands(self._store, self._here))
        archive = self._archive()
        with without_collection():
            position = self._restore(archive)
        self._journal.assert_reaches(position.journal)
        if self._settings.kafka.transactions:
            take_back_lost(self._settings, self._shard, self._output, position.journal)
        if archive is not None:
            self._snapshots = self._snapshots_in(archive)
        log.info("shard %d folds from journal offset %d", self._shard, position.journal)
        return position.journal

    def _restore(self, archive: Archive | None) -> Position:
        assert self._store is not None
        began, reader, partition = time.monotonic(), self._reader(), TopicPartition(CHANGELOG, self._shard)
        told = self._restoring.told
        tables, position = restore(
            self._store, reader, partition, self._stopping, archive=archive, here=self._here, told=told
        )
        self._isolating = self._fold_of(tables)
        self._telemetry.set("siyu_restore_seconds", time.monotonic() - began, shard=self._shard)
        self._figures.state(self._engine, self._store, self._engine.clock.now)
        return position

    def _archive(self) -> Archive | None:
        settings = self._settings
        return Archive(settings.snapshots_url, self._shard, self._here) if settings.snapshots.enabled else None

    def _snapshots_in(self, archive: Archive) -> Snapshots:
        settings, shard = self._settings, self._shard

        def prune(offset: int) -> None:
            delete_below(settings, shard, offset)

        erasures = erasures_of(self._engine.tables)
        return Snapshots(shard, settings.snapshots, archive, self._telemetry, prune, erasures=erasures)

    def _fold_of(self, restored: Tables) -> Isolating:
        """The fold from these rows on. Where it has to be made anew, rows come from the store: the last commit's."""
        assert self._store is not None
        config, store, first = engine_config(self._settings), self._store, [restored]

        def renew() -> Engine:
            return Engine(self._shard, config, first.pop() if first else loaded(store))

        return Isolating(renew, config.most_faults, self._poisoned)

    def _poisoned(self, poisoned: Poisoned) -> None:
        log.error("shard %d: %s; its state is loaded again\n%s", self._shard, poisoned, poisoned.trace)
        self._telemetry.count("siyu_faults_total")

    @property
    def _engine(self) -> Engine:
        assert self._isolating is not None
        return self._isolating.engine

    @property
    def pulse(self) -> int:
        """See `Work`."""
        return self._restoring.steps + (self._isolating.rounds if self._isolating is not None else 0)

    def _reader(self) -> Consumer:
        return Consumer(consumer_config(self._settings.kafka, f"siyu-restore-{self._shard}", enable_partition_eof=True))

    def number(self, item: Item) -> int:
        """Offsets of the journal have no gaps: nobody writes it in transactions, and it is not compacted."""
        return item.offset

    def missed(self, wanted: int, last: Item) -> Iterator[Sequence[Item]]:
        """Reads these frames of the journal."""
        return self._journal.batches(wanted, last, self._settings.engine.commit_bytes, self._stopping)

    def process(self, items: Sequence[Item]) -> None:
        """Folds a batch of frames and commits what came of it."""
        assert self._isolating is not None
        assert self._output is not None
        assert self._store is not None
        started = time.perf_counter()
        frames = [decode_frame(item.value) for item in items]
        outputs = self._isolating.fold([(item.offset, frame) for item, frame in zip(items, frames, strict=True)])
        folded = time.perf_counter()
        changes = self._engine.tables.take_changes()
        journal = items[-1].offset + 1
        changelog = self._output.commit(outputs, Commit(journal, changes, self._here.journal))
        self._store.commit(changes, Position(journal, changelog))
        if self._snapshots is not None:
            if any("identity_erased" in output.resolved.tables for output in outputs):
                self._snapshots.anew()
            self._snapshots.committed(self._engine.tables, Position(journal, changelog), len(changes))
        self._figures.batch(frames, outputs, folded - started, time.perf_counter() - folded)
        self._figures.state(self._engine, self._store, outputs[-1].resolved.progress_ms)

    def stop(self) -> None:
        """Gives up opening and catching up; a commit ends by itself, within the broker's time limit."""
        self._stopping.set()

    def close(self) -> None:
        """Lets the next owner in."""
        self._figures.forget()
        if self._output is not None:
            self._output.close()
        if self._snapshots is not None:
            self._snapshots.close()
        if self._store is not None:
            self._store.close()


def _stands(store: Store, here: Origin) -> Position:
    """Where the store stands in these topics; nowhere, if it is of others or damaged, which restoring will say."""
    try:
        return store.position() if store.origin() == here else Position()
    except DamagedStore:
        return Position()


def _opened(
    folder: Path, stopping: threading.Event, memory_rows: int = 0, patience_s: float = _LOCK_PATIENCE_S
) -> Store:
    """The store of this folder, as soon as its last owner has let go of it."""
    gives_up = time.monotonic() + patience_s
    while True:
        try:
            return RocksStore(folder, memory_rows)
        except StoreLocked:
            if time.monotonic() > gives_up:
                raise
            if stopping.wait(0.1):
                raise Abandoned from None
