"""The person's own best channel and best hour, by how they answered what they were sent.

In: weighed counts of sends and answers. Out: how much a channel is liked; the instant that is worth waiting for.
Never: a try at random; a channel or an hour put first on one answer against many.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import NamedTuple
from zoneinfo import ZoneInfo

from streams.delivery.zones import local

UNSEEN = 4
"""As if so many messages more had gone out over each channel, without an answer."""

WORTH_WAITING = 2
"""An hour is waited for that is so many times as good as this one; each has one answer to begin with."""

_HOUR_MS = 3_600_000


class Tally(NamedTuple):
    """What went out over a channel, how much of it was answered, and how much failed; what is old counts less."""

    sent: Fraction
    answered: Fraction
    failed: Fraction


def liking(tally: Tally) -> Fraction:
    """The share that was answered less that which failed, held near 0 where little was sent."""
    return (tally.answered - tally.failed) / (tally.sent + UNSEEN)


def best_instant(
    now_ms: int, until_ms: int, where: ZoneInfo, answers: Sequence[Fraction], will_do: Callable[[int], bool]
) -> int:
    """When an hour begins that is worth waiting for, at `until_ms` at the latest; now where there is none.

    `answers`: those of each of 24 hours, by the clock `where` the person lives. Of equals the first is taken.
    """

    def worth(time_ms: int) -> Fraction:
        hour = local(time_ms, where).hour
        return 1 + (answers[hour - 1] + 2 * answers[hour] + answers[(hour + 1) % 24]) / 4

    best = max(filter(will_do, _hours(now_ms, until_ms, where)), key=worth, default=now_ms)
    return best if worth(best) >= WORTH_WAITING * worth(now_ms) else now_ms


def _hours(now_ms: int, until_ms: int, where: ZoneInfo) -> Iterator[int]:
    """Each full hour after now."""
    while (now_ms := _next_hour(now_ms, where)) <= until_ms:
        yield now_ms


def _next_hour(time_ms: int, where: ZoneInfo) -> int:
    shown = local(time_ms, where)
    return time_ms + _HOUR_MS - (shown.minute * 60 + shown.second) * 1_000 - time_ms % 1_000
