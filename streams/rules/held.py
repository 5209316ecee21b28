"""Who waits for which source: timers whose time one source has passed, but not all that their rule waits for.

In: timers, the clock. Out: how many of each rule each source holds back. Never: a change; what is not due anywhere yet.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict

from streams.journal.clock import Clock
from streams.rules.timers import Timers


def held(timers: Timers, clock: Clock) -> Counter[tuple[str, str]]:
    """Number of waits by rule and source (`topic/partition`). Costs as much as there are such waits."""
    progress, found = clock.progress(), Counter[tuple[str, str]]()
    for group, members in clock.groups().items():
        for rule, dues in _overdue(timers, group, clock.now).items():
            for source in members:
                if count := len(dues) - bisect_left(dues, progress[source]):
                    found[rule, source] += count
    return found


def _overdue(timers: Timers, group: str, now_ms: int) -> dict[str, list[int]]:
    """The due times, by rule and in order, that the furthest source has passed."""
    found = defaultdict[str, list[int]](list)
    for due_ms, key in set(timers.before(group, now_ms)):
        found[key.split("\x1f", 2)[1].partition("/")[0]].append(due_ms)
    return {rule: sorted(dues) for rule, dues in found.items()}
