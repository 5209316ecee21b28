"""What an explanation is made of: what happened, how far the log has been read, and what is found out.

In: nothing. Out: types, and times and lengths as people read them. Never: a verdict.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple
from zoneinfo import ZoneInfo

from streams.delivery.zones import local

State = Literal[
    "sent",
    "deferred",
    "suppressed",
    "revoked",
    "converted",
    "noted",
    "not_matched",
    "prevented",
    "waiting",
    "left",
    "not_stored",
]
"""Those of decisions; and where there is none: a condition fails, what it waited for came, its sources are behind, a
journey was gone through without a message, or the log says that it should have been decided."""


class Happening(NamedTuple):
    """An accepted event. `event`: the fields that a condition may name; `own`: it belongs to the person asked about."""

    event_id: str
    event_type: str
    time_ms: int
    received_ms: int
    event: Mapping[str, Any]
    own: bool = True
    set_aside: str = ""

    @property
    def order_id(self) -> str:
        """Its order; "" for none."""
        return self.event["order_id"] or ""


class Point(NamedTuple):
    """One line of the proof: whether it speaks for a match, against it, or is only told (None)."""

    holds: bool | None
    text: str


@dataclass(frozen=True, slots=True)
class Case:
    """What is known when one asks.

    `happened`: all events that the rule hears, of the person, and of the orders in question whoever they belong to.
    `order`: the order asked about, "" for any. `since_ms`: when the rule came into force. `now_ms`: the furthest
    progress. `progress`: how far each source that the rule waits for has been read, 0 where that is not known.
    """

    happened: Sequence[Happening]
    order: str
    since_ms: int
    now_ms: int
    progress: Mapping[str, int]
    zone: ZoneInfo

    @property
    def clock_ms(self) -> int:
        """What every source that the rule waits for has passed."""
        return min(self.progress.values(), default=0)

    def at(self, time_ms: int) -> str:
        """A time on the tenant's wall clock."""
        return wall(time_ms, self.zone)

    def told(self, happening: Happening) -> str:
        """An event in a few words."""
        return f"{happening.event_type} {happening.event_id} at {self.at(happening.time_ms)}"


@dataclass(frozen=True, slots=True)
class Finding:
    """The verdict in one sentence, and what shows it."""

    state: State
    headline: str
    points: Sequence[Point] = ()


def wall(time_ms: int, zone: ZoneInfo) -> str:
    """2026-11-20 10:00:00, with milliseconds where there are any."""
    shown = local(time_ms, zone)
    text = shown.strftime("%Y-%m-%d %H:%M:%S")
    return f"{text}.{time_ms % 1_000:03}" if time_ms % 1_000 else text


_UNITS = (("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1_000), ("ms", 1))


def length(ms: int) -> str:
    """The two largest units of a length: `1 h`, `2 d 4 h`, `500 ms`."""
    parts = []
    for name, size in _UNITS:
        count, ms = divmod(ms, size)
        if count:
            parts.append(f"{count} {name}")
    return " ".join(parts[:2]) or "0 ms"
