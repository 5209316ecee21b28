"""Journal frames by hand: short event tuples in, real frames out, and frames cut anew at any row."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa

from schemas.columns import EVENTS, IDS
from streams.engine import Engine, EngineConfig, Outputs
from streams.journal.frame import Entry, Frame, Partition, Progress, RawRange
from streams.journal.tables import Tables

SALT = b"test"
ORDERS = Partition("events.raw.order", 0)
APP = Partition("events.raw.app", 0)
CONTROL = Partition("control", 0)


@dataclass(frozen=True)
class Ev:
    """One event as tests write it; `at` is when it was received, `time` when it happened (default: the same)."""

    at: int
    type: str = "page_view"
    ids: tuple[tuple[str, str, str], ...] = ()
    order: str | None = None
    time: int | None = None
    fen: int | None = 10_000
    id: str = ""
    tenant: str = "t1"
    on: Partition = ORDERS


def _row(ev: Ev, source: int, offset: int) -> dict[str, Any]:
    nothing = dict.fromkeys(EVENTS.names)
    return nothing | {
        "source": source,
        "raw_offset": offset,
        "received_ms": ev.at,
        "event_id": ev.id or f"{ev.on.topic}-{ev.on.partition}-{offset}",
        "tenant": ev.tenant,
        "event_type": ev.type,
        "event_time_ms": ev.at if ev.time is None else ev.time,
        "touchpoint": "app",
        "order_id": ev.order,
        "amount_fen": ev.fen,
        "properties": "",
        "set_aside": "",
    }


@dataclass
class Journal:
    """Builds the frames of one shard, keeping raw offsets; every partition that it knows is in every frame."""

    partitions: tuple[Partition, ...] = (ORDERS, APP)
    frames: list[Frame] = field(default_factory=list)
    _next: dict[Partition, int] = field(default_factory=dict)

    def add(self, *events: Ev, until: int | None = None, entries: Sequence[dict[str, Any]] = ()) -> Journal:
        """One frame of these events in the given order, then progress of all partitions to `until`."""
        parts = (*self.partitions, CONTROL)
        start = {part: self._next.get(part, 0) for part in parts}
        rows, ids = [], []
        for number, ev in enumerate(events):
            rows.append(_row(ev, parts.index(ev.on), self._take(ev.on)))
            ids += [{"row": number, "kind": k, "scope": s, "value": v} for k, s, v in ev.ids]
        first = events[0].at if events else (until or 0)
        put = [Entry(0, "control", len(parts) - 1, self._take(CONTROL), first, entry) for entry in entries]
        ranges = tuple(RawRange(*part, start[part], self._next.get(part, 0)) for part in parts)
        progress = tuple(Progress(*part, self._next.get(part, 0), until) for part in parts) if until is not None else ()
        self.frames.append(Frame(ranges, _batch(rows, EVENTS), _batch(ids, IDS), tuple(put), progress))
        return self

    def rule(self, text: str, tenant: str = "*") -> Journal:
        """A frame that declares the source set and puts a rule in force, at time 0."""
        members = "".join(f"\n- {{topic: {t}, partition: {p}}}" for t, p in self.partitions)
        sources = {"control_id": "s", "tenant": "*", "kind": "sources", "text": f"sources:{members}"}
        return self.add(entries=[sources, {"control_id": "r", "tenant": tenant, "kind": "rules", "text": text}])

    def _take(self, part: Partition) -> int:
        offset = self._next.get(part, 0)
        self._next[part] = offset + 1
        return offset


def _batch(rows: list[dict[str, Any]], schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist(rows, schema=schema)


def cut(frame: Frame, at: int) -> list[Frame]:
    """The frame as two frames that say the same: the first `at` rows, then the others with the frame's progress."""
    offsets = frame.events.column("raw_offset").to_pylist()[at:]
    sources = frame.events.column("source").to_pylist()[at:]
    later: dict[int, int] = {}
    for source, offset in zip(sources, offsets, strict=True):
        later[source] = min(offset, later.get(source, offset))
    for entry in frame.entries:
        if entry.at > at:
            later[entry.source] = min(entry.raw_offset, later.get(entry.source, entry.raw_offset))
    middle = [later.get(n, part.end) for n, part in enumerate(frame.ranges)]
    rows = frame.ids.column("row").to_pylist()
    split = sum(row < at for row in rows)
    tail = frame.ids.slice(split).to_pylist()
    first = Frame(
        tuple(RawRange(p.topic, p.partition, p.start, m) for p, m in zip(frame.ranges, middle, strict=True)),
        frame.events.slice(0, at),
        frame.ids.slice(0, split),
        tuple(entry for entry in frame.entries if entry.at <= at),
    )
    second = Frame(
        tuple(RawRange(p.topic, p.partition, m, p.end) for p, m in zip(frame.ranges, middle, strict=True)),
        frame.events.slice(at),
        _batch([row | {"row": row["row"] - at} for row in tail], IDS),
        tuple(entry._replace(at=entry.at - at) for entry in frame.entries if entry.at > at),
        frame.progress,
    )
    return [first, second]


def fold(frames: Iterable[Frame], tables: Tables | None = None) -> tuple[Engine, list[Outputs]]:
    """A fresh engine (or one over these tables) after the frames, with what came out of each."""
    engine = Engine(0, EngineConfig(SALT), tables or Tables())
    return engine, [engine.step(offset, frame) for offset, frame in enumerate(frames)]


def public(outputs: Iterable[Outputs]) -> list[tuple[Any, ...]]:
    """Every public record in order."""
    return [tuple(record) for output in outputs for record in output.public]


def renumber(frame: Frame, events: pa.RecordBatch) -> Frame:
    """The frame with other events."""
    return replace(frame, events=events)
