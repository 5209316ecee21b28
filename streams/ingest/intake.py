"""Ingest on one page: a cut of raw records becomes one journal frame per shard.

In: cuts (see `align`). Out: a `Batch` each: frames, counts.
Never: Kafka, a clock, an exception for what is the data's fault. Every record of a cut ends exactly once: as a row, an
entry, a heartbeat, or a refusal. A refusal is a dead letter that the journal carries to the engine, so that a cut that
comes again gives no second one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from schemas.codec import split
from schemas.records import DeadLetter, Reason
from schemas.registry import Registry
from streams.ingest.align import Cut
from streams.ingest.decode import Decoded, decode
from streams.ingest.entries import LANES, EntryReader
from streams.ingest.normalise import normalise
from streams.ingest.record import TIME_OF, TOPIC_OF, VALUE_OF, RawRecord
from streams.ingest.regroup import Noted, Regroup, Rows, with_rows
from streams.ingest.validate import Limits, check
from streams.journal.frame import REFUSAL, Frame, no_events, no_ids
from streams.outcome import Rejected

EVENTS_PREFIX: Final = "events.raw."
STAGE: Final = "ingest"
ROW, ENTRY, HEARTBEAT = "row", "entry", "heartbeat"

NOTHING: Final[Mapping[int, str]] = {}

Refusal = tuple[int, Rejected]
"""The index of a record in its cut, and why it is refused."""


class Batch(NamedTuple):
    """What came of one cut.

    `frames` by shard, every shard; `dead_letters`, which stand in the frames, in the cut's order; `counts` by (row,
    entry, heartbeat or the reason of refusal; topic), which add up to the cut's records; `set_aside` counts ids that
    were, as "kind:reason".
    """

    frames: dict[int, Frame]
    dead_letters: list[DeadLetter]
    counts: Counter[tuple[str, str]]
    set_aside: Counter[str]


class _Sorted(NamedTuple):
    """Indices of a cut's records by what they are."""

    events: list[int]
    entries: list[int]
    heartbeats: list[int]


class Intake:
    """Turns cuts into batches. Keeps nothing from one to the next."""

    def __init__(self, registry: Registry, tenants: frozenset[str], limits: Limits, shards: int) -> None:
        """`tenants`: those that the operator declared; `shards`: the partitions of the journal."""
        self._registry = registry
        self._tenants = tenants
        self._limits = limits
        self._regroup = Regroup(shards)
        self._entries = EntryReader(registry, tenants, limits)

    def process(self, cut: Cut, faulty: Mapping[int, str] = NOTHING) -> Batch:
        """The batch of this cut; the same cut always gives the same.

        `faulty`: records at which our own code raises, by their index, and what it raised; they are refused unread.

        Raises:
            RegistryUnavailable: the registry did not answer; try the same cut again.
            ValueError: a record of a topic that ingest does not know.
        """
        found = _sorted(cut, faulty)
        rows, set_aside, refused = self._events(cut, found.events)
        noted, refused_entries = self._noted(cut, found.entries)
        ours = ((at, Rejected(Reason.INTERNAL_FAULT, told)) for at, told in faulty.items())
        refusals = sorted([*refused, *refused_entries, *ours], key=itemgetter(0))
        letters = [(at, dead_letter(cut.records[at], why)) for at, why in refusals]
        entries = sorted([*noted, *(_refusal(at, letter) for at, letter in letters)], key=itemgetter(0))
        return Batch(
            self._regroup.frames(cut, rows, entries),
            [letter for _, letter in letters],
            _counts(cut, rows, noted, found.heartbeats, refusals),
            set_aside,
        )

    def _events(self, cut: Cut, at: Sequence[int]) -> tuple[Rows, Counter[str], list[Refusal]]:
        """Decodes, checks and normalises events: what is left, what was set aside, what is refused."""
        if not at:
            return Rows(no_events(), no_ids(), ()), Counter(), []
        decoded = self._decode(_of(cut, at))
        raw = Rows(decoded.events, decoded.ids, [at[index] for index in decoded.kept])
        faults = self._check(raw, _of(cut, raw.at))
        good = _without(raw, [row for row, _ in faults]) if faults else raw
        events, ids, set_aside = normalise(good.events, good.ids)
        refused = [(at[index], why) for index, why in decoded.rejected]
        refused += [(raw.at[row], why) for row, why in faults]
        return Rows(events, ids, good.at), set_aside, refused

    def _decode(self, records: Sequence[RawRecord]) -> Decoded:
        return decode(
            list(map(VALUE_OF, records)),
            self._registry,
            max_bytes=self._limits.event_bytes,
            max_identities=self._limits.identities,
        )

    def _check(self, raw: Rows, records: Sequence[RawRecord]) -> list[Refusal]:
        received_ms = pa.array(list(map(TIME_OF, records)), pa.int64())
        return check(raw.events, received_ms, self._tenants, self._limits)

    def _noted(self, cut: Cut, at: Iterable[int]) -> tuple[list[Noted], list[Refusal]]:
        noted: list[Noted] = []
        refused: list[Refusal] = []
        for index in at:
            read = self._entries.read(index, cut.records[index])
            if isinstance(read, Rejected):
                refused.append((index, read))
            else:
                noted.append(read)
        return noted, refused


def _sorted(cut: Cut, faulty: Mapping[int, str]) -> _Sorted:
    topics = {part.topic for part in cut.ranges}
    of_events = {topic for topic in topics if topic.startswith(EVENTS_PREFIX)}
    unknown = topics - of_events - LANES.keys()
    if unknown:
        raise ValueError(f"ingest reads a topic that it does not know: {min(unknown)}")
    events = [at for at, record in enumerate(cut.records) if record[0] in of_events and not record[6]]
    heartbeats = [at for at, record in enumerate(cut.records) if record[6]]
    if len(events) + len(heartbeats) == len(cut.records) and not faulty:
        return _Sorted(events, [], heartbeats)
    entries = [at for at, record in enumerate(cut.records) if record[0] not in of_events and not record[6]]
    return _Sorted(*([at for at in found if at not in faulty] for found in (events, entries, heartbeats)))


def _of(cut: Cut, at: Sequence[int]) -> Sequence[RawRecord]:
    return cut.records if len(at) == len(cut.records) else [cut.records[index] for index in at]


def _without(rows: Rows, refused: Iterable[int]) -> Rows:
    """The rows without these, ids following."""
    out = frozenset(refused)
    keep = pa.array([row not in out for row in range(len(rows.at))], pa.bool_())
    ids = rows.ids.filter(keep.take(rows.ids["row"]))
    place = pc.subtract(pc.cumulative_sum(keep.cast(pa.int32())), pa.scalar(1, pa.int32()))
    at = [index for row, index in enumerate(rows.at) if row not in out]
    return Rows(rows.events.filter(keep), with_rows(ids, place.take(ids["row"])), at)


def _refusal(at: int, letter: DeadLetter) -> Noted:
    """Of no tenant that could be trusted: its raw partition says which shard carries it."""
    return Noted(at, REFUSAL, f"{letter['topic']}/{letter['partition']}", {**letter})


def dead_letter(record: RawRecord, why: Rejected) -> DeadLetter:
    """The record as it came. `time` is when it was received, so that the same record gives the same letter."""
    return DeadLetter(
        stage=STAGE,
        reason=str(why.reason),
        detail=why.detail,
        raw=record.value or b"",
        raw_key=record.key,
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        schema_id=_schema_id(record.value),
        time=record.time_ms,
    )


def _schema_id(value: bytes | None) -> int | None:
    try:
        return split(value or b"")[0]
    except ValueError:
        return None


def _counts(
    cut: Cut, rows: Rows, noted: Iterable[Noted], heartbeats: Sequence[int], refusals: Iterable[Refusal]
) -> Counter[tuple[str, str]]:
    counts: Counter[tuple[str, str]] = Counter()
    for outcome, at in ((ROW, rows.at), (ENTRY, [one.at for one in noted]), (HEARTBEAT, heartbeats)):
        for topic, count in Counter(map(TOPIC_OF, _of(cut, at))).items():
            counts[outcome, topic] = count
    for index, why in refusals:
        counts[str(why.reason), cut.records[index].topic] += 1
    return counts
