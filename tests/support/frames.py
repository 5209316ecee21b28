"""Journal frames by hand: short events and entries in, real frames out, and frames cut anew at any item.

In: events and entries in receive order. Out: frames with contiguous raw offsets; parts of them; what an engine makes
of them. Never: a check of the receive order (a test may want a wrong one).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
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
    touchpoint: str = "app"
    item: str | None = None
    category: str | None = None
    properties: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Said:
    """One command, control or receipt as tests write it; `at` is when it was received."""

    at: int
    kind: str
    record: dict[str, Any]
    on: Partition = CONTROL


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
        "touchpoint": ev.touchpoint,
        "order_id": ev.order,
        "amount_fen": ev.fen,
        "item_id": ev.item,
        "category": ev.category,
        "properties": json.dumps(dict(ev.properties), sort_keys=True) if ev.properties else "",
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
        first = events[0].at if events else (until or 0)
        said = [Said(first, "control", entry) for entry in entries]
        parts = (*self.partitions, CONTROL)
        return self.lane(parts, [*said, *events], {part: until for part in parts if until is not None})

    def lane(
        self, parts: Sequence[Partition], items: Sequence[Ev | Said], until: Mapping[Partition, int] | None = None
    ) -> Journal:
        """One frame that draws on these partitions only, with these items in order, then this progress."""
        start = [self.mark(part) for part in parts]
        rows: list[dict[str, Any]] = []
        ids: list[dict[str, Any]] = []
        put: list[Entry] = []
        for item in items:
            if isinstance(item, Ev):
                ids += [{"row": len(rows), "kind": k, "scope": s, "value": v} for k, s, v in item.ids]
                rows.append(_row(item, parts.index(item.on), self._take(item.on)))
            else:
                offset = self._take(item.on)
                record = _named(item, offset)
                put.append(Entry(len(rows), item.kind, parts.index(item.on), offset, item.at, record))
        ranges = tuple(RawRange(*part, at, self.mark(part)) for part, at in zip(parts, start, strict=True))
        progress = tuple(Progress(*part, self.mark(part), time) for part, time in (until or {}).items())
        self.frames.append(Frame(ranges, _batch(rows, EVENTS), _batch(ids, IDS), tuple(put), progress))
        return self

    def rule(self, text: str, tenant: str = "*") -> Journal:
        """A frame that declares the source set and puts a rule in force, at time 0."""
        rules = {"tenant": tenant, "kind": "rules", "text": text}
        return self.add(entries=[sources(*self.partitions), rules])

    def mark(self, part: Partition) -> int:
        """The raw offset that the partition's next item gets."""
        return self._next.get(part, 0)

    def _take(self, part: Partition) -> int:
        offset = self.mark(part)
        self._next[part] = offset + 1
        return offset


_ID_OF = {"control": "control_id", "command": "command_id", "receipt": "delivery_id"}


def _named(said: Said, offset: int) -> dict[str, Any]:
    """The record with an id of its own where the test gave it none."""
    name = _ID_OF.get(said.kind)
    if name is None:
        return said.record
    return said.record | {name: said.record.get(name) or f"{said.kind}-{said.on.topic}-{offset}"}


def sources(*members: Partition) -> dict[str, Any]:
    """The control that declares this source set."""
    text = "sources:" + "".join(f"\n- {{topic: {t}, partition: {p}, start: 0}}" for t, p in members)
    return {"tenant": "*", "kind": "sources", "text": text if members else "sources: []"}


def _batch(rows: list[dict[str, Any]], schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist(rows, schema=schema)


def cut(frame: Frame, at: int) -> list[Frame]:
    """The frame as two frames that say the same: the first `at` rows, then the others with the frame's progress."""
    items = at + sum(entry.at <= at for entry in frame.entries)
    return [part(frame, 0, items), part(frame, items, size(frame))]


def size(frame: Frame) -> int:
    """How many items (rows and entries) a frame holds."""
    events: int = frame.events.num_rows
    return events + len(frame.entries)


def part(frame: Frame, start: int, end: int) -> Frame:
    """Items `start` to `end` of a frame in their order, as a frame; with the frame's progress if they are its last."""
    (rows_from, entries_from), (rows_to, entries_to) = _reached(frame, start), _reached(frame, end)
    low, high = _offsets_at(frame, rows_from, entries_from), _offsets_at(frame, rows_to, entries_to)
    if start == 0:
        low = [given.start for given in frame.ranges]
    return Frame(
        tuple(RawRange(*given.of, a, b) for given, a, b in zip(frame.ranges, low, high, strict=True)),
        frame.events.slice(rows_from, rows_to - rows_from),
        _ids_of(frame, rows_from, rows_to),
        tuple(entry._replace(at=entry.at - rows_from) for entry in frame.entries[entries_from:entries_to]),
        frame.progress if end == size(frame) else (),
    )


def _reached(frame: Frame, items: int) -> tuple[int, int]:
    """How many rows and how many entries are among the first items: an entry stands before the row of its `at`."""
    events: int = frame.events.num_rows
    places = [(row, 1) for row in range(events)] + [(entry.at, 0) for entry in frame.entries]
    rows = sum(kind for _, kind in sorted(places)[:items])
    return rows, items - rows


def _offsets_at(frame: Frame, rows: int, entries: int) -> list[int]:
    """The first raw offset of each range that is not among the first rows and entries."""
    left = [(entry.source, entry.raw_offset) for entry in frame.entries[entries:]]
    columns = (frame.events.column(name).to_pylist()[rows:] for name in ("source", "raw_offset"))
    left += zip(*columns, strict=True)
    return [
        min((offset for source, offset in left if source == number), default=given.end)
        for number, given in enumerate(frame.ranges)
    ]


def _ids_of(frame: Frame, rows_from: int, rows_to: int) -> pa.RecordBatch:
    ids = [row for row in frame.ids.to_pylist() if rows_from <= row["row"] < rows_to]
    return _batch([row | {"row": row["row"] - rows_from} for row in ids], IDS)


def fold(frames: Iterable[Frame], state: Tables | None = None, offset: int = 0) -> tuple[Engine, list[Outputs]]:
    """An engine over this state (default: none) after the frames from this journal offset on, with what came out."""
    engine = Engine(0, EngineConfig(SALT), state or Tables())
    return engine, [engine.step(at, frame) for at, frame in enumerate(frames, offset)]


def public(outputs: Iterable[Outputs]) -> list[tuple[Any, ...]]:
    """Every public record in order."""
    return [tuple(record) for output in outputs for record in output.public]


def by_topic(outputs: Iterable[Outputs]) -> dict[str, list[tuple[Any, ...]]]:
    """Every public record in its topic's order, which is all that readers see."""
    topics: dict[str, list[tuple[Any, ...]]] = {}
    for record in public(outputs):
        topics.setdefault(record[0], []).append(record)
    return topics


def tables(outputs: Iterable[Outputs]) -> dict[str, list[dict[str, Any]]]:
    """Every row of each resolved table, in order."""
    rows: dict[str, list[dict[str, Any]]] = {}
    for output in outputs:
        for name, batch in output.resolved.tables.items():
            rows.setdefault(name, []).extend(batch.to_pylist())
    return rows


def renumber(frame: Frame, events: pa.RecordBatch) -> Frame:
    """The frame with other events."""
    return replace(frame, events=events)
