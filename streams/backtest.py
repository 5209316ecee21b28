"""The pipeline over recorded input: the same ingest, the same fold, no broker, nothing sent.

In: raw records in arrival order, or the frames of a recorded journal; rules. Out: what the engine makes of each frame.
Never: a clock, a file, a random number: the same input gives the same output.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

import yaml

from schemas.codec import encode
from schemas.records import Control
from schemas.registry import Registry
from streams.engine import Engine, EngineConfig, Outputs
from streams.ingest.align import Cut
from streams.ingest.intake import Batch, Intake
from streams.ingest.isolate import isolated
from streams.ingest.record import RawRecord
from streams.isolate import Isolating
from streams.journal.frame import Frame, Partition, Progress, RawRange, no_events, no_ids
from streams.journal.tables import Change, Tables
from streams.rules.book import EVERY_TENANT

CONTROL = Partition("control", 0)
_CHUNK = 4_000


def opening(
    rules: Mapping[str, str], members: Sequence[Partition], registry: Registry, time_ms: int
) -> list[RawRecord]:
    """The control records by which a journal begins: the source set, then each rule (name → text) for all tenants."""
    listed = [{"topic": topic, "partition": partition, "start": 0} for topic, partition in members]
    texts = [("sources", "sources", yaml.safe_dump({"sources": listed}))]
    texts += [("rules", name, text) for name, text in sorted(rules.items())]
    schema_id = registry.id_of("control")
    return [
        RawRecord(*CONTROL, offset, time_ms, None, encode("control", _control(*text, time_ms), schema_id))
        for offset, text in enumerate(texts)
    ]


def _control(kind: str, name: str, text: str, time_ms: int) -> Control:
    return Control(
        control_id=f"{kind}:{name}",
        tenant=EVERY_TENANT,
        kind=kind,
        name=name,
        version=1,
        text=text,
        who="backtest",
        time=time_ms,
    )


def journal_of(
    records: Iterable[RawRecord], members: Sequence[Partition], intake: Intake, chunk_records: int = _CHUNK
) -> Iterator[Batch]:
    """What ingest makes of records in the order in which they arrived, each partition's offsets from 0 without a gap.

    The clock is the record's time; a time that is lower than an earlier one counts as that one.
    """
    ends = dict.fromkeys([*members, CONTROL], 0)
    last_ms = 0
    source = iter(records)
    while chunk := list(islice(source, chunk_records)):
        for at, record in enumerate(chunk):
            last_ms = max(last_ms, record.time_ms)
            chunk[at] = record._replace(time_ms=last_ms)
        yield isolated(intake.process, _cut(chunk, ends, last_ms))


def _cut(chunk: list[RawRecord], ends: dict[Partition, int], last_ms: int) -> Cut:
    starts = dict(ends)
    for record in chunk:
        ends[record.of] = record.offset + 1
    ranges = tuple(RawRange(*part, starts[part], end) for part, end in ends.items())
    progress = tuple(Progress(*part, end, last_ms) for part, end in ends.items())
    return Cut(chunk, ranges, progress, 0)


def settling(members: Sequence[Partition], until_ms: int) -> Frame:
    """A frame without rows that lets the clock of these members run on to this time."""
    progress = tuple(Progress(*part, 0, until_ms) for part in members)
    return Frame((), no_events(), no_ids(), (), progress)


def without_controls(frame: Frame, kinds: Collection[str]) -> Frame:
    """The frame less its rules or policies: for a backtest of others over a recorded journal."""
    kept = tuple(one for one in frame.entries if one.kind != "control" or one.record.get("kind") not in kinds)
    return replace(frame, entries=kept) if kinds else frame


class Shards:
    """A fold for each shard, all from nothing; what makes our own code raise is left out as in the live run."""

    def __init__(self, config: EngineConfig, rules: Mapping[str, str] | None = None) -> None:
        self._config = config
        self._rules = rules or {}
        self._folds: dict[int, tuple[Isolating, _Committed]] = {}

    @property
    def engines(self) -> dict[int, Engine]:
        """The engine of each shard, after what was folded last."""
        return {shard: fold.engine for shard, (fold, _) in self._folds.items()}

    def step(self, shard: int, offset: int, frame: Frame) -> Outputs:
        """Folds a frame of this shard; rules that were given are in force from its first frame."""
        if shard not in self._folds:
            self._folds[shard] = self._new(shard)
        fold, committed = self._folds[shard]
        (outputs,) = fold.fold([(offset, frame)])
        committed.take(fold.engine.tables.take_changes())
        return outputs

    def _new(self, shard: int) -> tuple[Isolating, _Committed]:
        committed = _Committed()
        return Isolating(lambda: self._engine(shard, committed), self._config.most_faults), committed

    def _engine(self, shard: int, committed: _Committed) -> Engine:
        engine = Engine(shard, self._config, Tables(committed.rows()))
        if not committed.any():
            for text in self._rules.values():
                for group in engine.engage.apply_rule(EVERY_TENANT, text):
                    engine.clock.watch(group)
        return engine


class _Committed:
    """The rows of a shard after its last frame: what a store is to the live run."""

    def __init__(self) -> None:
        self._tables: dict[str, dict[str, Any]] = {}

    def any(self) -> bool:
        return bool(self._tables)

    def rows(self) -> Iterator[Change]:
        for table, rows in self._tables.items():
            for key, value in rows.items():
                yield Change(table, key, value)

    def take(self, changes: Iterable[Change]) -> None:
        for table, key, value in changes:
            rows = self._tables.setdefault(table, {})
            if value is None:
                rows.pop(key, None)
            else:
                rows[key] = value
