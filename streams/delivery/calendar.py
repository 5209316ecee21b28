"""Instants by the clock and the calendar on somebody's wall.

In: a time of day, a zone. Out: the next instant that shows it. Never: the machine's clock.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from streams.delivery.zones import local

_HOUR = 60


def instant(day: date, minute: int, where: ZoneInfo) -> int:
    """When it is this minute of this day there, in milliseconds: the first such instant where the clock is turned back,
    and as much later as the clock leaps where it leaps over it."""
    shown = datetime.combine(day, time(minute // _HOUR, minute % _HOUR), where)
    return round(shown.astimezone(UTC).timestamp()) * 1_000


def next_at(minute: int, time_ms: int, where: ZoneInfo) -> int:
    """The first instant from this time on at which it is this minute of a day there."""
    today = local(time_ms, where).date()
    found = (instant(today + timedelta(days), minute, where) for days in range(-1, 3))
    return min(one for one in found if one >= time_ms)
