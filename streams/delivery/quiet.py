"""Quiet hours: when nobody is to be disturbed, by the clock on their wall.

In: a time and a zone. Out: whether it is quiet, and the first instant that is not. Never: the machine's clock.

22:00-08:00 includes 22:00 and not 08:00. The hours are those that the wall clock shows: where it is turned forward over
the end, quiet ends with the jump; where it is turned back into the hours, they begin again.
"""

from __future__ import annotations

from typing import NamedTuple
from zoneinfo import ZoneInfo

from streams.delivery.zones import local
from streams.documents import MINUTE_MS


class QuietHours(NamedTuple):
    """From this minute of the day on, and up to this one, which is not quiet; over midnight where it is the lower."""

    start: int
    end: int

    def at(self, time_ms: int, where: ZoneInfo) -> bool:
        """Whether it is quiet there at this time."""
        shown = local(time_ms, where)
        minute = shown.hour * 60 + shown.minute
        if self.start < self.end:
            return self.start <= minute < self.end
        return minute >= self.start or minute < self.end

    def ends(self, time_ms: int, where: ZoneInfo) -> int:
        """The first instant from this time on that is not quiet there: a clock is turned at full minutes only."""
        while self.at(time_ms, where):
            time_ms += MINUTE_MS - time_ms % MINUTE_MS
        return time_ms


class Nights:
    """Remembers the night that each zone is in: one search for its end, not one for each that is deferred."""

    def __init__(self) -> None:
        self._known: dict[tuple[QuietHours, str | None], tuple[int, int]] = {}

    def until(self, hours: QuietHours, time_ms: int, where: ZoneInfo) -> int:
        """The first instant from this time on that is not quiet there."""
        key = hours, where.key
        since, until = self._known.get(key, (0, 0))
        if not since <= time_ms < until:
            until = hours.ends(time_ms, where)
            self._known[key] = time_ms, until
        return until
