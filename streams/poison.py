"""Poison: a row, an entry or a timer at which our own code raises, and the dead letter that it becomes.

In: the item, the exception. Out: where it was (`Spot`), what to say of it, its dead letter.
Never: the text of an exception, which may hold an id of a person; a decision about what to do (see `isolate`).
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Final, NamedTuple

from schemas.records import Reason
from streams.journal.frame import Entry, RawRange
from streams.journal.rows import EventRow
from streams.journal.tables import Tables

_HOUR_MS: Final = 3_600_000
OURS: Final = ("streams", "schemas", "sinks")
_TEXTS: Final = ("touchpoint", "scene", "channel", "campaign", "order_id", "amount_fen", "item_id", "category")


class Row(NamedTuple):
    """An event or entry, by where its raw record stands: the same however the journal is cut."""

    topic: str
    partition: int
    offset: int


class Firing(NamedTuple):
    """A timer that became due when the clock stood at `now_ms`."""

    key: str
    now_ms: int


Spot = Row | Firing
Told = Mapping[Spot, str]
"""Spots that the fold goes without, with what was wrong at each."""
NOTHING: Final[Told] = {}


class Poisoned(Exception):
    """Our own code raised at `spot` (None: at nothing that could be left out); the state is half done."""

    def __init__(self, spot: Spot | None, error: BaseException) -> None:
        super().__init__(f"our own code raised: {place_of(error)}")
        self.spot = spot
        self.told = place_of(error)
        self.trace = trace_of(error)


class LeftOut(NamedTuple):
    """A row or entry that the fold passes over; `told` says what it raised."""

    item: EventRow | Entry
    received_ms: int
    told: str


def place_of(error: BaseException) -> str:
    """The kind of an exception and the place of ours that it came from, without its text."""
    frames = [(_module(step), step) for step in _steps(error.__traceback__)]
    ours = [found for found in frames if found[0].split(".")[0] in OURS] or frames
    if not ours:
        return type(error).__name__
    module, step = ours[-1]
    return f"{type(error).__name__} in {module}.{step.tb_frame.f_code.co_name}, line {step.tb_lineno}"


def trace_of(error: BaseException) -> str:
    """Where an exception came from, line by line, without its text."""
    return "".join(traceback.format_tb(error.__traceback__))


def _steps(step: TracebackType | None) -> Iterator[TracebackType]:
    while step is not None:
        yield step
        step = step.tb_next


def _module(step: TracebackType) -> str:
    return str(step.tb_frame.f_globals.get("__name__", "?"))


def spot_of(item: EventRow | Entry, ranges: Sequence[RawRange]) -> Row:
    """Where the item's raw record stands."""
    if isinstance(item, EventRow):
        events = item.frame.events
        source: int = events.column("source")[item.at].as_py()
        return Row(*ranges[source].of, events.column("raw_offset")[item.at].as_py())
    return Row(*ranges[item.source].of, item.raw_offset)


def without(
    items: Iterable[EventRow | Entry], ranges: Sequence[RawRange], told: Told
) -> Iterator[EventRow | Entry | LeftOut]:
    """The items, those at one of these spots as `LeftOut`."""
    for item in items:
        spot = spot_of(item, ranges)
        yield LeftOut(item, item.received_ms, told[spot]) if spot in told else item


def letter_of(left: LeftOut, ranges: Sequence[RawRange]) -> tuple[str, dict[str, Any]]:
    """Tenant and dead letter of a row or entry; its bytes are JSON, an event's as `siyu publish` takes it."""
    item, spot = left.item, spot_of(left.item, ranges)
    record = _published(item, spot.topic) if isinstance(item, EventRow) else item.record
    return record["tenant"], _letter(left.told, record, spot, left.received_ms)


def letter_of_firing(firing: Firing, row: Any, told: str) -> tuple[str, dict[str, Any]]:
    """Tenant and dead letter of a timer; its bytes are what waited, as JSON, and it came from no topic."""
    tenant, rule, business_key = firing.key.split("\x1f", 2)
    record = {"tenant": tenant, "rule": rule, "business_key": business_key, "instance": row}
    return tenant, _letter(told, record, Row("", -1, -1), firing.now_ms)


def _letter(told: str, record: Mapping[str, Any], spot: Row, time_ms: int) -> dict[str, Any]:
    return {
        "stage": "engine",
        "reason": Reason.INTERNAL_FAULT.value,
        "detail": told,
        "raw": json.dumps(record, ensure_ascii=False, sort_keys=True).encode(),
        "raw_key": None,
        **spot._asdict(),
        "schema_id": None,
        "time": time_ms,
    }


def _published(row: EventRow, topic: str) -> dict[str, Any]:
    """The event as the journal has it: ids normalised, those that were set aside gone."""
    columns = row.frame.events
    found = {name: columns.column(name)[row.at].as_py() for name in (*_TEXTS, "properties")}
    referrer = {part: columns.column(f"referrer_{part}")[row.at].as_py() for part in ("kind", "scope", "value")}
    identities = [dict(zip(("kind", "scope", "value"), node.split("\x1f")[1:], strict=True)) for node in row.nodes]
    return {
        **found,
        "event_id": row.event_id,
        "tenant": row.tenant,
        "event_type": row.event_type,
        "event_time": row.event_time_ms,
        "identities": [{**one, "scope": one["scope"] or None} for one in identities],
        "referrer": {**referrer, "scope": referrer["scope"] or None} if referrer["kind"] else None,
        "properties": json.loads(found["properties"] or "{}"),
        "source": topic.removeprefix("events.raw."),
        "received_ms": row.received_ms,
    }


class Tally:
    """How much was left out, in table `faults`: hour of the journal's clock → number."""

    def __init__(self, tables: Tables) -> None:
        self._rows = tables.table("faults")

    def add(self, now_ms: int) -> None:
        """One more was left out; what was so more than an hour before this one is forgotten."""
        hour = now_ms // _HOUR_MS
        for key in [key for key in self._rows if int(key) < hour - 1]:
            self._rows.drop(key)
        self._rows.put(f"{hour:09d}", self._rows.get(f"{hour:09d}", 0) + 1)

    def lately(self) -> int:
        """How much was left out in the last hour that had any, and the one before it."""
        return sum(self._rows.values())
