"""Ends a worker that makes no progress while there is lag: whoever supervises it starts it again.

In: a running role, the broker's word on offsets. Out: the end of the process, with one line that says why; gauges.
Never: an end because the broker is away, or because something outside is waited for; a wait for the worker's own loop.

It has a thread and clients of its own, so that a loop that is blocked, and a consumer that stopped in silence, are
noticed. What holds the interpreter itself stops this thread too: then `/live` gives no answer.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from confluent_kafka import KafkaException

from streams.worker.clients import BrokerUnavailable
from streams.worker.ending import EXIT_FAULT, end_process
from streams.worker.faults import traced
from streams.worker.offsets import Offsets
from streams.worker.stalls import Look, Stall, Stalls
from streams.worker.standing import State, Watched
from streams.worker.telemetry import Telemetry

log = logging.getLogger(__name__)

_SELDOM_S = 5.0
_LOOKS = 10
SUSPECT = 0.5
"""The share of its limit from which a stall is told by `/live`."""


class Watchdog:
    """Looks at a role from its start on. `stuck_after_s` 0: it looks, and ends nothing."""

    def __init__(
        self,
        watched: Watched,
        offsets: Offsets,
        stuck_after_s: float,
        telemetry: Telemetry,
        *,
        end: Callable[[], None] = end_process,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`clock` gives seconds."""
        self._clock = clock
        self._watched = watched
        self._offsets = offsets
        self._telemetry = telemetry
        self._end = end
        self._limit_s = stuck_after_s
        self._every_s = min(_SELDOM_S, stuck_after_s / _LOOKS) if stuck_after_s else _SELDOM_S
        self._stalls = Stalls(stuck_after_s)
        self._looked_s = clock()
        self._complaints: list[str] = []
        self.last: Look | None = None
        """The newest look at which the broker answered."""

    def start(self) -> None:
        """Looks from now on, until the process ends."""
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def complaints(self) -> list[str]:
        """What has not moved for too long, as sentences; also that nobody has looked."""
        unseen_s = self._clock() - self._looked_s
        if self._limit_s and unseen_s > self._limit_s:
            return [*self._complaints, f"nobody has looked for {unseen_s:.0f} s"]
        return self._complaints

    def _watch(self) -> None:
        while True:
            try:
                self.look()
            except Exception as error:
                log.error("the watchdog could not look\n%s", traced(error))
            time.sleep(self._every_s)

    def look(self) -> None:
        """Looks once, and ends the process where something has not moved for too long."""
        if self._limit_s and (lost := self._watched.lost()):
            self._give_up(f"it is out of its group for good: {lost}")
            return
        now_s = self._clock()
        # A process that was paused itself has not been stuck meanwhile.
        passed_s, self._looked_s = min(now_s - self._looked_s, 2 * self._every_s), now_s
        try:
            look = self._look(passed_s)
            self._stalls.look(look)
            stalls = [stall for stall in self._stalls.longer_than(SUSPECT) if self._is_true(stall, look)]
        except (BrokerUnavailable, KafkaException) as error:
            log.warning("the watchdog can't look: %s", error)
            self._stalls.forget()
            self._complaints = []
            return
        self.last, self._complaints = look, [stall.sentence for stall in stalls]
        self._measure(look)
        self._judge(stalls)

    def _look(self, passed_s: float) -> Look:
        turned_s, standings = self._watched.turned_s(), self._watched.standings()
        parts = list(standings or ())
        committed = self._offsets.committed(parts)
        return Look(passed_s, turned_s, standings, committed, self._offsets.ends(parts))

    def _is_true(self, stall: Stall, look: Look) -> bool:
        if stall.part is None or self._offsets.has_record(stall.part, look.at(stall.part)):
            return True
        self._stalls.acquit(stall.part)
        return False

    def _measure(self, look: Look) -> None:
        telemetry = self._telemetry
        telemetry.forget("siyu_stalled_seconds", stage=telemetry.stage)
        for part, seconds in self._stalls.stalled_s().items():
            telemetry.set("siyu_stalled_seconds", seconds, topic=part.topic, partition=part.partition)
        states = [standing.state for standing in (look.standings or {}).values()]
        for state in State:
            telemetry.set("siyu_partitions", states.count(state), state=state.value)

    def _judge(self, stalls: list[Stall]) -> None:
        stuck = [stall for stall in stalls if stall.seconds >= stall.limit_s]
        if stuck:
            self._give_up(stuck[0].sentence)

    def _give_up(self, why: str) -> None:
        log.critical("STUCK: %s; ending this worker with %d", why, EXIT_FAULT)
        self._end()
