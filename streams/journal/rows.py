"""A frame's rows and entries, one by one in their order, less those that are repeats.

In: a frame and the marks of its ranges. Out: `EventRow` and `Entry` in journal order. Never: a change of either.

Columns become Python lists once a frame; an event's fields are gathered only when a rule asks for them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from streams.journal.frame import Entry, Frame

_HOT = ("source", "raw_offset", "received_ms", "event_id", "tenant", "event_type", "event_time_ms")
_WARM = {"event_id": "event_id", "tenant": "tenant", "event_type": "event_type", "event_time": "event_time_ms"}
_COLD = ("touchpoint", "scene", "channel", "campaign", "order_id", "amount_fen", "item_id", "category", "properties")


class EventRow(NamedTuple):
    """One accepted event. `nodes`: its ids as `tenant␟kind␟scope␟value`, in the order in which they came."""

    frame: Frame
    at: int
    received_ms: int
    event_id: str
    tenant: str
    event_type: str
    event_time_ms: int
    nodes: Sequence[str]

    def event(self) -> Mapping[str, Any]:
        """The fields that a rule's condition may name, each read when it is asked for."""
        return _Fields(self)


class _Fields(Mapping[str, Any]):
    def __init__(self, row: EventRow) -> None:
        self._row = row

    def __getitem__(self, name: str) -> Any:
        if name in _WARM:
            return getattr(self._row, _WARM[name])
        value = self._row.frame.events.column(name)[self._row.at].as_py()
        return (json.loads(value) if value else {}) if name == "properties" else value

    def __iter__(self) -> Iterator[str]:
        yield from (*_WARM, *_COLD)

    def __len__(self) -> int:
        return len(_WARM) + len(_COLD)


class Rows:
    """Iterates the rows and entries of a frame whose raw offset is not below the mark of their range."""

    def __init__(self, frame: Frame, marks: Sequence[int]) -> None:
        self._frame = frame
        self._marks = marks

    def __iter__(self) -> Iterator[EventRow | Entry]:
        entries = [entry for entry in self._frame.entries if entry.raw_offset >= self._marks[entry.source]]
        taken = 0
        for row in self._events():
            while taken < len(entries) and entries[taken].at <= row.at:
                yield entries[taken]
                taken += 1
            yield row
        yield from entries[taken:]

    def _events(self) -> Iterator[EventRow]:
        frame, marks = self._frame, self._marks
        if not frame.events.num_rows:
            return
        nodes = _node_keys(frame)
        bounds = _bounds(frame)
        columns = (frame.events.column(name).to_pylist() for name in _HOT)
        for at, (source, raw_offset, received, event_id, tenant, kind, time) in enumerate(zip(*columns, strict=True)):
            if raw_offset >= marks[source]:
                yield EventRow(frame, at, received, event_id, tenant, kind, time, nodes[bounds[at] : bounds[at + 1]])


def _node_keys(frame: Frame) -> list[str]:
    ids = frame.ids
    tenants = frame.events.column("tenant").take(ids.column("row"))
    parts = (tenants, ids.column("kind"), ids.column("scope"), ids.column("value"))
    keys: list[str] = pc.binary_join_element_wise(*parts, pa.scalar("\x1f")).to_pylist()
    return keys


def _bounds(frame: Frame) -> list[int]:
    counts = np.bincount(frame.ids.column("row").to_numpy(), minlength=frame.events.num_rows)
    bounds: list[int] = np.concatenate(([0], np.cumsum(counts))).tolist()
    return bounds
