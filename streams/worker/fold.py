"""The engine's work on one journal partition: restore, fold, commit.

In: journal frames. Out: one commit a batch: outputs and changelog in a transaction, then the local store.
Never: a frame folded twice into the state, or an acknowledgement before the commit.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from confluent_kafka import Consumer, TopicPartition

from schemas.registry import Registry
from streams.engine import Engine, EngineConfig, Outputs
from streams.journal.frame import Frame, decode_frame
from streams.settings import Settings
from streams.topics import CHANGELOG
from streams.worker.clients import consumer_config
from streams.worker.lane import Item
from streams.worker.output import Output
from streams.worker.state.changelog import Commit
from streams.worker.state.restore import restore
from streams.worker.state.store import Position, RocksStore, Store, StoreLocked
from streams.worker.telemetry import Telemetry

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
        self._engine: Engine | None = None

    def open(self) -> int:
        """Fences the last owner, restores the rows; the next journal offset to fold."""
        kafka = self._settings.kafka
        self._output = Output(self._shard, kafka, self._registry)
        self._store = _opened(self._settings.data / "state" / f"shard-{self._shard:04d}")
        consumer = Consumer(
            consumer_config(kafka, f"siyu-restore-{self._shard}")
            | {"isolation.level": "read_committed", "enable.partition.eof": True, "enable.auto.commit": False}
        )
        tables, position = restore(self._store, consumer, TopicPartition(CHANGELOG, self._shard))
        salt = self._settings.salt.get_secret_value().encode()
        config_of_fold = EngineConfig(salt, self._settings.engine.dedup_window_ms, sources=self._settings.sources)
        self._engine = Engine(self._shard, config_of_fold, tables)
        log.info("shard %d folds from journal offset %d", self._shard, position.journal)
        return position.journal

    def process(self, items: Sequence[Item]) -> None:
        """Folds a batch of frames and commits what came of it."""
        assert self._engine is not None
        assert self._output is not None
        assert self._store is not None
        started = time.perf_counter()
        frames = [decode_frame(item.value) for item in items]
        outputs = [self._engine.step(item.offset, frame) for item, frame in zip(items, frames, strict=True)]
        folded = time.perf_counter()
        changes = self._engine.tables.take_changes()
        journal = items[-1].offset + 1
        changelog = self._output.commit(outputs, Commit(journal, changes))
        self._store.commit(changes, Position(journal, changelog))
        self._measure(frames, outputs, folded - started, time.perf_counter() - folded)

    def _measure(self, frames: list[Frame], outputs: list[Outputs], fold_s: float, commit_s: float) -> None:
        telemetry = self._telemetry
        counts: Counter[str] = sum((output.counts for output in outputs), Counter())
        for outcome, number in counts.items():
            telemetry.count("siyu_events_total", number, outcome=outcome)
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
        assert self._engine is not None
        telemetry, shard, engine = self._telemetry, self._shard, self._engine
        telemetry.set("siyu_timers_pending", len(engine.engage.timers), shard=shard)
        for table, rows in engine.tables.sizes().items():
            telemetry.set("siyu_state_entries", rows, shard=shard, table=table)
        telemetry.set("siyu_progress_timestamp_seconds", progress_ms / 1000, shard=shard)

    def stop(self) -> None:
        """A commit ends by itself, within the broker's time limit."""

    def close(self) -> None:
        """Lets the next owner in."""
        if self._output is not None:
            self._output.close()
        if self._store is not None:
            self._store.close()


def _measure_public(telemetry: Telemetry, output: Outputs, latency_ms: float) -> None:
    for record in output.public:
        fields = record.record
        if record.subject == "identity_change":
            telemetry.count("siyu_identity_changes_total", kind=fields["kind"])
        elif record.subject == "trigger":
            telemetry.count("siyu_triggers_total", rule=fields["rule"], channel=fields["channel"])
            late_s = (fields["fired_time"] - fields["due_time"]) / 1000
            telemetry.observe("siyu_due_to_fired_seconds", late_s)
        elif record.subject == "trigger_revoked":
            telemetry.count("siyu_triggers_revoked_total", rule=fields["rule"], reason=fields["reason"])
        else:
            labels = {name: fields[name] for name in ("rule", "verdict", "reason")}
            telemetry.count("siyu_decisions_total", **labels)
            telemetry.observe("siyu_event_to_decision_seconds", latency_ms / 1000)


def _opened(folder: Path, patience_s: float = _LOCK_PATIENCE_S, sleep: Callable[[float], None] = time.sleep) -> Store:
    """The store of this folder, as soon as its last owner has let go of it."""
    gives_up = time.monotonic() + patience_s
    while True:
        try:
            return RocksStore(folder)
        except StoreLocked:
            if time.monotonic() > gives_up:
                raise
            sleep(0.1)
