"""How each id answers what it is sent: over which channel, and at which hour of the day.

In: sends, first answers and failures, with their times. Out: weighed counts of a set of nodes. Never: a verdict.

Counts are whole numbers by period of 30 days, the newest six of them: each counts half as much as the next newer one.
So those of several nodes add up exactly, whatever came first, and a node's rows never grow past a fixed size.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from fractions import Fraction
from typing import Any

from streams.documents import DAY_MS
from streams.journal.tables import Table, Tables

PERIOD_MS = 30 * DAY_MS
PERIODS = 6
_SENT, _ANSWERED, _FAILED = range(3)


class Answers:
    """Table `answers`: node␟channel → (period, what, count); table `hours`: node → (period, hour, answers)."""

    def __init__(self, tables: Tables) -> None:
        self._channels = tables.table("answers")
        self._hours = tables.table("hours")

    def sent(self, node: str, channel: str, now_ms: int) -> None:
        """A message goes out to this node."""
        _count(self._channels, f"{node}\x1f{channel}", _SENT, now_ms, now_ms)

    def answered(self, node: str, channel: str, time_ms: int, now_ms: int) -> None:
        """A message was answered at this time; only its first answer is to be told."""
        _count(self._channels, f"{node}\x1f{channel}", _ANSWERED, time_ms, now_ms)

    def failed(self, node: str, channel: str, time_ms: int, now_ms: int) -> None:
        """A message could not be delivered."""
        _count(self._channels, f"{node}\x1f{channel}", _FAILED, time_ms, now_ms)

    def at_hour(self, node: str, hour: int, time_ms: int, now_ms: int) -> None:
        """A message was answered at this hour, 0 to 23, of the person's day."""
        _count(self._hours, node, hour, time_ms, now_ms)

    def over(self, nodes: Iterable[str], channel: str, now_ms: int) -> tuple[Fraction, Fraction, Fraction]:
        """How many messages these nodes got over the channel, answered, and could not get; a new one counts 1."""
        found = _weighed(self._channels, [f"{node}\x1f{channel}" for node in nodes], now_ms)
        return found[_SENT], found[_ANSWERED], found[_FAILED]

    def by_hour(self, nodes: Iterable[str], now_ms: int) -> list[Fraction]:
        """How many messages these nodes answered in each of 24 hours; a new one counts 1."""
        found = _weighed(self._hours, nodes, now_ms)
        return [found[hour] for hour in range(24)]


def _count(rows: Table[Any], key: str, what: int, time_ms: int, now_ms: int) -> None:
    counts = Counter({(period, one): count for period, one, count in rows.get(key, ())})
    counts[min(time_ms, now_ms) // PERIOD_MS, what] += 1
    oldest = now_ms // PERIOD_MS - PERIODS + 1
    kept = tuple((*one, count) for one, count in sorted(counts.items()) if one[0] >= oldest)
    if kept:
        rows.put(key, kept)
    else:
        rows.drop(key)


def _weighed(rows: Table[Any], keys: Iterable[str], now_ms: int) -> dict[int, Fraction]:
    newest = now_ms // PERIOD_MS
    found: dict[int, Fraction] = dict.fromkeys(range(24), Fraction())
    for key in keys:
        for period, what, count in rows.get(key, ()):
            if newest - period < PERIODS:
                found[what] += Fraction(count, 1 << (newest - period))
    return found
