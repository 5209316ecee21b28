"""How a person answered what they were sent, where a rule asks for their best channel or hour.

In: stored sends with their first answers. Out: lines. Never: a weight: what is told are plain counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from streams.delivery.zones import local
from streams.explain.case import Case, Point
from streams.explain.sending import Sent
from streams.profile.answers import PERIOD_MS, PERIODS
from streams.rules.book import Compiled


def asks(compiled: Compiled) -> bool:
    """Whether the rule, or a step of it, asks how the person answers."""
    sends = (compiled.rule.send, *(emit.rule.send for emit in compiled.emits.values()))
    return any(send.choose == "best" or send.best_hour_within for send in sends)


def answers(channels: Sequence[str], sends: Sequence[Sent], now_ms: int, case: Case) -> list[Point]:
    """Of each channel how many messages were answered and failed; at which hours they were, by the tenant's clock."""
    known = [one for one in sends if one.time_ms < now_ms and _counts(one.time_ms, now_ms)]
    lines = [_of_channel(channel, [one for one in known if one.channel == channel]) for channel in channels]
    hours = Counter(local(one.opened_ms, case.zone).hour for one in known if 0 < one.opened_ms <= now_ms)
    told = ", ".join(f"{hours[hour]} at {hour:02} h" for hour in sorted(hours))
    return [Point(None, line) for line in (*lines, f"opened or clicked: {told or 'none'}")]


def _of_channel(channel: str, sends: Sequence[Sent]) -> str:
    answered, failed = sum(one.answered for one in sends), sum(one.failed for one in sends)
    return f"{channel}: {answered} of {len(sends)} answered" + (f", {failed} failed" if failed else "")


def _counts(time_ms: int, now_ms: int) -> bool:
    return now_ms // PERIOD_MS - time_ms // PERIOD_MS < PERIODS
