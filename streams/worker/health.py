"""What `/live` and `/ready` answer.

In: the watchdog, the running role. Out: an HTTP status and a JSON text each. Never: a call to a server; a wait.

`/live` is 503 when the worker does not move and would best be started again. `/ready` is 503 while it can't do its
work on all that it owns: it starts, waits for its partitions, restores them, does not know its lag, or halted one.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from streams.journal.frame import Partition
from streams.worker.stalls import Look
from streams.worker.standing import Standing, State, Watched
from streams.worker.watchdog import Watchdog

Page = tuple[int, str]


class Health:
    """The health of one process; `starting` says what it waits for before its role runs."""

    def __init__(self) -> None:
        self.starting = "it starts"
        self._role: tuple[Watched, Watchdog] | None = None

    def runs(self, watched: Watched, watchdog: Watchdog) -> None:
        """The role runs from now on."""
        self._role = watched, watchdog

    def pages(self) -> Mapping[str, Callable[[], Page]]:
        """The pages by path."""
        return {"/live": self.live, "/ready": self.ready}

    def live(self) -> Page:
        """Whether it moves, or rightly rests."""
        complaints = self._role[1].complaints() if self._role else []
        return _page({"live": not complaints, "why": "; ".join(complaints)}, not complaints)

    def ready(self) -> Page:
        """Whether it works on all that it owns."""
        if self._role is None:
            return _page({"ready": False, "why": self.starting}, False)
        watched, watchdog = self._role
        standings = watched.standings()
        if standings is None:
            return _page({"ready": False, "why": "it waits to be told its partitions"}, False)
        told = {f"{part.topic}/{part.partition}": _told(part, standings[part], watchdog.last) for part in standings}
        good = all(one["ready"] for one in told.values())
        return _page({"ready": good, "partitions": told}, good)


def _told(part: Partition, standing: Standing, last: Look | None) -> dict[str, Any]:
    lag = last.lag(part) if last is not None and part in (last.standings or ()) else None
    why = standing.why
    if standing.state is State.OPENING:
        why = why or f"it is opened and restored since {time.monotonic() - standing.since_s:.0f} s"
    elif lag is None:
        why = why or "its lag is not known yet"
    good = standing.state in (State.WORKING, State.WAITING) and lag is not None
    return {"ready": good, "state": standing.state.value, "lag": lag, "why": why}


def _page(body: Mapping[str, Any], good: bool) -> Page:
    return (200 if good else 503), json.dumps(body, ensure_ascii=False) + "\n"
