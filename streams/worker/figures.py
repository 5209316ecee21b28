"""What the fold of one shard tells of itself: counts of each batch, and gauges of its state.

In: what was folded and committed. Out: metrics; a warning for what was refused, and for what an operator must look at.
Never: a gauge left to the next owner of the shard.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Sequence

from streams.engine import Engine, Outputs
from streams.journal.frame import Frame
from streams.rules.held import held
from streams.topics import JOURNAL, RAW
from streams.worker.alarm import alarm
from streams.worker.state.store import Store
from streams.worker.telemetry import Telemetry

log = logging.getLogger(__name__)

_SELDOM_S = 5.0
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


class Figures:
    """Metrics of one shard."""

    def __init__(self, shard: int, telemetry: Telemetry) -> None:
        self._shard = shard
        self._telemetry = telemetry
        self._told_s = 0.0

    def batch(self, frames: Sequence[Frame], outputs: Sequence[Outputs], fold_s: float, commit_s: float) -> None:
        """A batch of frames was folded and committed."""
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
            _public(telemetry, output, now_ms - frame.fetched_ms)

    def state(self, engine: Engine, store: Store, progress_ms: int) -> None:
        """Where the shard stands; what takes long to find out only every few seconds."""
        telemetry, shard = self._telemetry, self._shard
        telemetry.set("siyu_timers_pending", len(engine.engage.timers), shard=shard)
        for table, rows in engine.tables.sizes().items():
            telemetry.set("siyu_state_entries", rows, shard=shard, table=table)
        telemetry.set("siyu_persons", len(engine.tables.table("persons")), shard=shard)
        telemetry.set("siyu_suspects", len(engine.tables.table("suspects")), shard=shard)
        telemetry.set("siyu_progress_timestamp_seconds", progress_ms / 1000, shard=shard)
        telemetry.set("siyu_lag_seconds", time.time() - progress_ms / 1000, topic=JOURNAL, partition=shard)
        if time.monotonic() - self._told_s > _SELDOM_S:
            self._told_s = time.monotonic()
            telemetry.set("siyu_state_bytes", store.size(), shard=shard)
            self._waits(engine)

    def _waits(self, engine: Engine) -> None:
        telemetry, shard, progress = self._telemetry, self._shard, engine.clock.progress()
        for (rule, step), persons in engine.engage.standing().items():
            telemetry.set("siyu_journey_standing", persons, shard=shard, rule=rule, step=step)
        telemetry.set("siyu_sources_silent", sum(not at_ms for at_ms in progress.values()), shard=shard)
        for group, members in engine.clock.groups().items():
            for source in members:
                held_s = (engine.clock.now - progress[source]) / 1000 if progress[source] else 0
                labels = {"group": group, "source": source.removeprefix(RAW)}
                telemetry.set("siyu_clock_held_seconds", held_s, shard=shard, **labels)
        telemetry.forget("siyu_waits_held", shard=shard)
        for (rule, source), number in held(engine.engage.timers, engine.clock).items():
            telemetry.set("siyu_waits_held", number, shard=shard, rule=rule, source=source.removeprefix(RAW))

    def forget(self) -> None:
        """The next owner tells from now on."""
        for name in _OF_SHARD:
            self._telemetry.forget(name, shard=self._shard)


def _public(telemetry: Telemetry, output: Outputs, latency_ms: float) -> None:
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
