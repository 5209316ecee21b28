"""How often a person may be written to: in a rolling time, or in a day, week or month of their calendar.

In: caps, the times of what was sent, now. Out: whether one more would be too many. Never: what was not sent.

A rolling cap over W counts what was sent in (now - W, now]: a send exactly W ago no longer counts. A calendar cap
counts what was sent in the same day, ISO week or month as now, in the zone that the person lives in.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

from streams.delivery.zones import local

Period = Literal["day", "week", "month"]


class Cap(NamedTuple):
    """At most `most` sends `within_ms` (rolling), or per period of the calendar (`within_ms` is 0)."""

    most: int
    within_ms: int
    per: Period | None

    def used(self, sent_ms: Iterable[int], now_ms: int, where: ZoneInfo) -> int:
        """How many of these sends count now."""
        if self.per is None:
            return sum(now_ms - self.within_ms < time <= now_ms for time in sent_ms)
        this = _period(self.per, now_ms, where)
        return sum(_period(self.per, time, where) == this for time in sent_ms)


def bound(caps: Sequence[Cap], sent_ms: Sequence[int], now_ms: int, where: ZoneInfo) -> bool:
    """Whether one more send now would be more than one of these caps allows."""
    return any(cap.used(sent_ms, now_ms, where) >= cap.most for cap in caps)


def exceeded(caps: Sequence[Cap], groups: Sequence[Sequence[int]], now_ms: int, where: ZoneInfo) -> bool:
    """Whether sends of several who became one add up to more than a cap allows; each group is what one had got."""
    for cap in caps:
        counts = [cap.used(times, now_ms, where) for times in groups]
        if sum(counts) > cap.most and sum(count > 0 for count in counts) > 1:
            return True
    return False


def _period(per: Period, time_ms: int, where: ZoneInfo) -> tuple[int, int]:
    shown = local(time_ms, where)
    if per == "day":
        return shown.year, shown.timetuple().tm_yday
    if per == "week":
        return shown.isocalendar()[:2]
    return shown.year, shown.month
