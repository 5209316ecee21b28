"""The engine's work on one journal partition: restore, fold, commit.

In: journal frames. Out: one commit a batch: outputs and changelog in a transaction, then the local store.
Never: a frame folded twice into the state, or an acknowledgement before the commit.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from confluent_kafka import Consumer, TopicPartition

from schemas.registry import Registry
from streams.engine import Engine, Outputs
from streams.isolate import Isolating
from streams.journal.frame import Frame, decode_frame
from streams.journal.tables import Tables
from streams.poison import Poisoned
from streams.rules.held import held
from streams.settings import Settings
from streams.topics import CHANGELOG, JOURNAL, RAW
from streams.worker.alarm import alarm
from streams.worker.clients import consumer_config
from streams.worker.config import engine_config
from streams.worker.lane import Abandoned, Item
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

log = logging.getLogger(__name__)

_LOCK_PATIENCE_S = 30.0
_MEASURE_EVERY_S = 5.0
_OF_SHARD = (
    "siyu_timers_pending",
    "siyu_state_entries",
    "siyu_state_bytes",
    "siyu_progress_timestamp_seconds",
    "siyu_persons",
    "siyu_suspects",
    "siyu_clock_held_seconds",
    "siyu_journey_standing",
    "siyu_sources_silent",
    "siyu_waits_held",
    "siyu_restore_records",
    "siyu_restore_records_expected",
    "siyu_snapshot_timestamp_seconds",
)
"""Gauges that the next owner tells from now on."""


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
        self._measured_s = 0.0
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
        self._measure_state(self._engine.clock.now)
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
        self._measure(frames, outputs, folded - started, time.perf_counter() - folded)

    def _measure(self, frames: list[Frame], outputs: list[Outputs], fold_s: float, commit_s: float) -> None:
        telemetry = self._telemetry
        counts: Counter[str] = sum((output.counts for output in outputs), Counter())
        for outcome in ("accepted", "duplicate", "erased", "repeated"):
            telemetry.count("siyu_events_total", counts[outcome], outcome=outcome)
        telemetry.observe("siyu_batch_events", counts.total())
        telemetry.observe("siyu_batch_seconds", fold_s)
        telemetry.observe("siyu_commit_seconds", commit_s)
        telemetry.count("siyu_commits_total")
        now_ms = time.time() * 1000
        for frame, output in zip(frames, outputs, strict=True):
            for refusal in output.refused:
                log.warning("refused: %s", refusal)
                telemetry.count("siyu_controls_refused_total", shard=self._shard)
            _measure_public(telemetry, output, now_ms - frame.fetched_ms)
        self._measure_state(outputs[-1].resolved.progress_ms)

    def _measure_state(self, progress_ms: int) -> None:
        telemetry, shard, engine = self._telemetry, self._shard, self._engine
        telemetry.set("siyu_timers_pending", len(engine.engage.timers), shard=shard)
        for table, rows in engine.tables.sizes().items():
            telemetry.set("siyu_state_entries", rows, shard=shard, table=table)
        telemetry.set("siyu_persons", len(engine.tables.table("persons")), shard=shard)
        telemetry.set("siyu_suspects", len(engine.tables.table("suspects")), shard=shard)
        telemetry.set("siyu_progress_timestamp_seconds", progress_ms / 1000, shard=shard)
        telemetry.set("siyu_lag_seconds", time.time() - progress_ms / 1000, topic=JOURNAL, partition=shard)
        if time.monotonic() - self._measured_s > _MEASURE_EVERY_S:
            self._measured_s = time.monotonic()
            self._measure_rarely(engine)

    def _measure_rarely(self, engine: Engine) -> None:
        assert self._store is not None
        telemetry, shard = self._telemetry, self._shard
        telemetry.set("siyu_state_bytes", self._store.size(), shard=shard)
        for (rule, step), persons in engine.engage.standing().items():
            telemetry.set("siyu_journey_standing", persons, shard=shard, rule=rule, step=step)
        progress = engine.clock.progress()
        telemetry.set("siyu_sources_silent", sum(not at_ms for at_ms in progress.values()), shard=shard)
        for group, members in engine.clock.groups().items():
            for source in members:
                held_s = (engine.clock.now - progress[source]) / 1000 if progress[source] else 0
                labels = {"group": group, "source": source.removeprefix(RAW)}
                telemetry.set("siyu_clock_held_seconds", held_s, shard=shard, **labels)
        telemetry.forget("siyu_waits_held", shard=shard)
        for (rule, source), number in held(engine.engage.timers, engine.clock).items():
            telemetry.set("siyu_waits_held", number, shard=shard, rule=rule, source=source.removeprefix(RAW))

    def stop(self) -> None:
        """Gives up opening and catching up; a commit ends by itself, within the broker's time limit."""
        self._stopping.set()

    def close(self) -> None:
        """Lets the next owner in."""
        for name in _OF_SHARD:
            self._telemetry.forget(name, shard=self._shard)
        if self._output is not None:
            self._output.close()
        if self._snapshots is not None:
            self._snapshots.close()
        if self._store is not None:
            self._store.close()


def _measure_public(telemetry: Telemetry, output: Outputs, latency_ms: float) -> None:
    for receipt in output.resolved.tables["deliveries"].to_pylist() if "deliveries" in output.resolved.tables else ():
        telemetry.count("siyu_deliveries_total", status=receipt["status"])
    for record in output.public:
        fields = record.record
        if record.subject == "identity_change":
            telemetry.count("siyu_identity_changes_total", kind=fields["kind"])
            if fields["kind"] == "held" and fields["b"] is None:
                log.warning("%s", alarm(fields))
        elif record.subject == "trigger":
            telemetry.count("siyu_triggers_total", rule=fields["rule"], channel=fields["channel"])
            late_s = (fields["fired_time"] - fields["due_time"]) / 1000
            telemetry.observe("siyu_due_to_fired_seconds", late_s)
        elif record.subject == "trigger_revoked":
            telemetry.count("siyu_triggers_revoked_total", rule=fields["rule"], reason=fields["reason"])
        elif record.subject == "dead_letter":
            ours = fields["stage"] == telemetry.stage  # ingest counts its own
            telemetry.count("siyu_dead_letters_total", int(ours), reason=fields["reason"])
        else:
            labels = {name: fields[name] for name in ("rule", "verdict", "reason")}
            telemetry.count("siyu_decisions_total", **labels)
            telemetry.observe("siyu_event_to_decision_seconds", latency_ms / 1000)


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
