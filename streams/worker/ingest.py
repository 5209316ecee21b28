"""The ingest worker: a confluent-kafka loop from the raw topics to the journal.

In: raw records. Out: journal frames; raw offsets committed after they are acknowledged.
Never: a decision about a person or a rule. At least once: a restarted twin repeats ranges, and the engine knows them.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from schemas.records import Reason
from schemas.registry import Registry
from streams.ingest.align import Aligner, Cut
from streams.ingest.fuse import Fuse
from streams.ingest.intake import ENTRY, HEARTBEAT, ROW, Batch, Intake
from streams.ingest.isolate import isolated
from streams.ingest.record import PARTITION_OF, TIME_OF, VALUE_OF, RawRecord
from streams.ingest.validate import Limits
from streams.journal.frame import Partition, RawRange
from streams.settings import Settings
from streams.topics import MAX_RECORD_BYTES
from streams.worker.clients import producer_config
from streams.worker.reader import GROUP, Listener, Reader
from streams.worker.sender import Sender
from streams.worker.standing import Standing, State
from streams.worker.telemetry import Telemetry

log = logging.getLogger(__name__)

_READ = 10_000
_COMMIT_EVERY_S = 0.5
_FRAME_BYTES = MAX_RECORD_BYTES // 2
_REFUSALS = frozenset(Reason)


class FuseBlown(Exception):
    """Most of a source is refused: somebody must look before more of it is."""


class Ingest:
    """One ingest worker, to be `Watched`. `run` blocks until `stop` is set or something fails."""

    group = GROUP

    def __init__(self, settings: Settings, registry: Registry, telemetry: Telemetry) -> None:
        self._settings = settings.ingest
        self._telemetry = telemetry
        self._aligner = Aligner(settings.ingest.patience_ms, 4 * settings.ingest.max_rows)
        self._intake = Intake(registry, frozenset(settings.tenants), Limits(), settings.kafka.shards)
        self._fuse = Fuse()
        self._faults = Fuse(share=0.0, least=settings.worker.most_faults + 1, window=100_000)
        # A frame that can't be delivered holds all that follow it: a gap in the journal would stop its shard for good.
        endless = producer_config(settings.kafka, enable_gapless_guarantee=True, delivery_timeout_ms=0)
        self._sender = Sender(endless)
        self._mine: set[Partition] = set()
        self._turned_s = 0.0
        self._asked_ms = 0
        self._committed_s = 0.0
        self._newest_ms: dict[Partition, int] = {}
        for topic in settings.ingest.fuse_off:
            log.warning("the fuse of %s is off: however many of its records are refused, ingest goes on", topic)
        self._reader = Reader(settings, Listener(self._assigned, self._revoked))

    def run(self, stop: threading.Event) -> None:
        """Reads and journals until told to stop, then leaves nothing half done."""
        try:
            while not stop.is_set():
                self._turn()
            self._sender.flush()
            self._reader.commit(self._sender.safe())
        finally:
            self._reader.close()

    def turned_s(self) -> float:
        """See `Watched`."""
        return self._turned_s

    def lost(self) -> str:
        """See `Watched`: librdkafka joins its group again by itself."""
        return ""

    def standings(self) -> dict[Partition, Standing] | None:
        """See `Watched`: what is safe is what is committed."""
        if not self._reader.is_member:
            return None
        return {part: Standing(State.WORKING) for part in self._mine.copy()}

    def _turn(self) -> None:
        self._turned_s = time.monotonic()
        records = self._reader.read(_READ, self._settings.linger_ms / 1000)
        self._aligner.add(records, _wall_ms())
        newest_ms = dict(zip(map(PARTITION_OF, records), map(TIME_OF, records), strict=True))
        self._newest_ms |= {Partition(*part): time_ms for part, time_ms in newest_ms.items()}
        self._ask_ends({Partition(*part) for part in newest_ms})
        while (cut := self._aligner.cut(_wall_ms(), self._settings.max_rows)) is not None:
            for part in parts(cut, _FRAME_BYTES):
                self._journal(part)
            if len(cut.records) < self._settings.max_rows:
                break
        self._reader.pause(self._aligner.paused())
        if time.monotonic() - self._committed_s > _COMMIT_EVERY_S:
            self._committed_s = time.monotonic()
            self._reader.commit(self._sender.safe())
            self._measure_lag()

    def _measure_lag(self) -> None:
        for part, lag in self._reader.lag().items():
            self._telemetry.set("siyu_lag_records", lag, topic=part.topic, partition=part.partition)
        for part, newest_ms in self._newest_ms.items():
            lag_s = (_wall_ms() - newest_ms) / 1000
            self._telemetry.set("siyu_lag_seconds", lag_s, topic=part.topic, partition=part.partition)

    def _ask_ends(self, busy: set[Partition]) -> None:
        """Tells the aligner which partitions are at their end: the wall is read first, then the end is asked."""
        wall_ms = _wall_ms()
        if not self._settings.idle_progress or wall_ms - self._asked_ms < self._settings.idle_every_ms:
            return
        self._asked_ms = wall_ms
        for part, end in self._reader.ends(self._mine - busy).items():
            self._aligner.idle(part, end, wall_ms - self._settings.idle_margin_ms)

    def _journal(self, cut: Cut) -> None:
        started = time.perf_counter()
        batch = isolated(self._intake.process, cut)
        self._sender.send(cut.ranges, batch.frames)
        self._measure(cut, batch, time.perf_counter() - started)
        self._check_fuse(batch)

    def _check_fuse(self, batch: Batch) -> None:
        for topic in {topic for _, topic in batch.counts}:
            kept = sum(batch.counts[outcome, topic] for outcome in (ROW, ENTRY))
            refused = sum(n for (outcome, of), n in batch.counts.items() if of == topic and outcome in _REFUSALS)
            faults = batch.counts[Reason.INTERNAL_FAULT, topic]
            blown = self._fuse.blown(topic, kept, refused)
            if blown is not None and topic not in self._settings.fuse_off:
                self._blow(f"{blown}; mend the source, or let them pass with ingest.fuse_off, see docs/operations.md")
            if self._faults.blown(topic, kept + refused - faults, faults) is not None:
                self._blow(f"our own code raised at too many records of {topic}: mend it, or raise worker.most_faults")

    def _blow(self, why: str) -> None:
        self._sender.flush()
        raise FuseBlown(why)

    def _measure(self, cut: Cut, batch: Batch, seconds: float) -> None:
        telemetry = self._telemetry
        for (outcome, topic), number in batch.counts.items():
            telemetry.count("siyu_records_total", number, topic=topic)
            if outcome in _REFUSALS:
                telemetry.count("siyu_dead_letters_total", number, reason=outcome)
            if outcome == Reason.INTERNAL_FAULT:
                telemetry.count("siyu_faults_total", number)
            if outcome != HEARTBEAT:
                told = "rejected" if outcome in _REFUSALS else "accepted"
                telemetry.count("siyu_events_total", number, outcome=told)
        for told, number in batch.set_aside.items():
            kind, _, reason = told.partition(":")
            telemetry.count("siyu_ids_set_aside_total", number, kind=kind, reason=reason)
        telemetry.observe("siyu_batch_events", len(cut.records))
        telemetry.observe("siyu_batch_seconds", seconds)

    def _assigned(self, part: Partition, offset: int) -> None:
        log.info("reads %s/%d from offset %d", part.topic, part.partition, offset)
        self._mine.add(part)
        self._aligner.assign(part, offset)

    def _revoked(self, parts: Iterable[Partition]) -> None:
        self._sender.flush()
        self._reader.commit(self._sender.safe())
        for part in parts:
            self._mine.discard(part)
            self._aligner.revoke(part)
            self._newest_ms.pop(part, None)


def parts(cut: Cut, max_bytes: int) -> Iterator[Cut]:
    """The cut as cuts of at most so many raw bytes, or of one record, so that each frame fits a record of Kafka."""
    bounds = _bounds(cut.records, max_bytes)
    starts = {part.of: part.start for part in cut.ranges}
    for begin, end in pairwise(bounds):
        left = cut.records[end:]
        upto = {record.of: record.offset for record in reversed(left)}
        ranges = tuple(RawRange(*part.of, starts[part.of], upto.get(part.of, part.end)) for part in cut.ranges)
        starts = {part.of: part.end for part in ranges}
        yield Cut(cut.records[begin:end], ranges, () if left else cut.progress, cut.fetched_ms)


def _bounds(records: Sequence[RawRecord], max_bytes: int) -> list[int]:
    bounds, size = [0], 0
    for at, value in enumerate(map(VALUE_OF, records)):
        length = len(value or b"")
        if size + length > max_bytes and at > bounds[-1]:
            bounds.append(at)
            size = 0
        size += length
    return [*bounds, len(records)]


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000
