"""What the clock on a tenant's wall shows, by the standard library alone, and slowly.

In: times and a policy. Out: days, weeks, months; when a quiet time is over. Never: code of `streams`.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from tests.support.lines import PolicyText

MINUTE = 60_000


def _shown(time: int, policy: PolicyText) -> datetime:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=time)).astimezone(ZoneInfo(policy.zone))


def calendar(per: str, time: int, policy: PolicyText) -> str:
    """The day, week or month of this time, at the tenant's."""
    return _shown(time, policy).strftime({"day": "%Y-%m-%d", "week": "%G-%V", "month": "%Y-%m"}[per])


def hour_of(time: int, policy: PolicyText) -> int:
    """The hour that the clock shows at this time, at the tenant's."""
    return _shown(time, policy).hour


def full_hours(now: int, until: int, policy: PolicyText) -> list[int]:
    """Each instant after now, and not after `until`, at which it is a full hour at the tenant's."""
    minutes = range((now // MINUTE + 1) * MINUTE, until + 1, MINUTE)
    return [time for time in minutes if _shown(time, policy).minute == 0]


def end_of_quiet(policy: PolicyText, now: int) -> int:
    """The first full minute that is not quiet, or now."""
    if policy.quiet is None:
        return now
    since, until = policy.quiet
    while True:
        clock = _shown(now, policy).strftime("%H:%M")
        quiet = since <= clock < until if since < until else clock >= since or clock < until
        if not quiet:
            return now
        now = (now // MINUTE + 1) * MINUTE
