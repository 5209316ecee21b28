"""Plays traffic through a running stack, no faster than it is taken, and listens to the triggers meanwhile.

In: a stack, traffic. Out: when everything is folded and stored; each trigger with the wall time at which it was seen.
Never: a look into a worker but through its metrics.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from bench.player import Played, Player, with_entry_heartbeats
from bench.traffic import Sent
from schemas.codec import decode_one
from streams.cli.failure import Failure
from streams.cli.screen import Screen
from streams.settings import Settings
from streams.topics import COUPON
from streams.worker.clients import follow, producer_config, registry_of
from streams.worker.stack import Worker, progress_ms

_AHEAD = 20_000
_EVERY_S = 0.2
_STUCK_S = 90.0
_FOR_EVER_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Heard:
    """A trigger as an outside consumer saw it, and the wall time in seconds."""

    record: dict[str, Any]
    wall_s: float


class Flow:
    """One play through the workers of a stack."""

    def __init__(self, settings: Settings, running: Sequence[Worker], screen: Screen) -> None:
        self._settings = settings
        self._running = running
        self._screen = screen
        self._looked_s = 0.0
        self._progress: dict[str, int] = {}
        self.heard: list[Heard] = []

    def play(self, traffic: Iterable[Sent], rate: float) -> tuple[Played, float]:
        """Plays all of it and waits until it is stored; what was played, and the seconds from first to last.

        Raises:
            WorkerEnded: a worker ended meanwhile.
            Failure: nothing moved for a long time.
        """
        threading.Thread(target=self._listen, name="triggers", daemon=True).start()
        began = time.monotonic()
        player = Player(producer_config(self._settings.kafka), registry_of(self._settings), rate)
        played = player.play(with_entry_heartbeats(traffic), self._pace)
        self._await(played)
        return played, time.monotonic() - began

    def _pace(self, played: Played) -> None:
        self._look(played)
        while played.records - self._taken(played, "engine") > _AHEAD:
            time.sleep(_EVERY_S / 4)
            self._look(played)

    def _await(self, played: Played) -> None:
        moved, before = time.monotonic(), dict(self._progress)
        while min(self._progress.get(role, 0) for role in ("engine", "sink")) < played.last_ms:
            time.sleep(_EVERY_S)
            self._look(played)
            if self._progress != before:
                moved, before = time.monotonic(), dict(self._progress)
            elif time.monotonic() - moved > _STUCK_S:
                raise Failure(f"nothing moved for {_STUCK_S:.0f} s; see the logs of the workers")

    def _look(self, played: Played) -> None:
        if time.monotonic() - self._looked_s < _EVERY_S:
            return
        self._looked_s = time.monotonic()
        for worker in self._running:
            worker.check()
        for role in ("engine", "sink"):
            workers = [worker for worker in self._running if worker.role == role]
            self._progress[role] = progress_ms(workers, self._settings.kafka.shards)
        taken = {role: self._taken(played, role) for role in ("engine", "sink")}
        self._screen.show(played.records, taken, len(self.heard))

    def _taken(self, played: Played, role: str) -> int:
        return played.records_at(self._progress.get(role, 0))

    def _listen(self) -> None:
        registry = registry_of(self._settings)
        starts = dict.fromkeys(range(self._settings.kafka.shards), 0)
        for record in follow(self._settings, COUPON, starts, _FOR_EVER_S):
            self.heard.append(Heard(decode_one(record.value, registry, "trigger"), time.time()))
