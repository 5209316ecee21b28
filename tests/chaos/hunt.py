"""Who is struck, how and when: drawn from a seed, while traffic flows.

In: a crew, how far the traffic has been played. Out: strikes, and how long each took to be caught up.
Never: a strike while nothing is in flight; a change to what has come out.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from streams.worker.stack import progress_ms
from tests.chaos.armed import AT_OTHERS, WINDOWS, Charge
from tests.chaos.crew import Crew, role_of

_STEP_S = 0.25
_LOOK_EVERY_S = 0.5
_MOST_PAUSE_S = 9.0
_ARMED = 0.6
_WIPED = 0.2
_STORM = ("engine8", "engine9")
SERVERS = ("kafka", "clickhouse")


@dataclass(slots=True)
class Strike:
    """One kill -9 or SIGSTOP: `target` is a role or a server, `how` a window, `any moment`, `storm` or `pause`."""

    target: str
    how: str
    at_s: float
    played_ms: int
    caught_up_s: float | None = None


@dataclass
class Hunt:
    """`played` tells the simulated time up to which traffic stands in Kafka, `over` when to strike no more."""

    crew: Crew
    seed: int
    played: Callable[[], int]
    over: Callable[[], bool]
    charges: Path
    pace_s: float = 2.0
    strikes: list[Strike] = field(default_factory=list)
    _read: int = 0
    _looked_s: float = 0.0
    _wakes: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def run(self) -> None:
        """Strikes until it is over, then wakes and revives everyone."""
        due_s = time.monotonic()
        while not self.over():
            self.tend(arming=True)
            if time.monotonic() > due_s:
                self._strike()
                due_s = time.monotonic() + self._random.uniform(0.3, 1.7) * self.pace_s
            time.sleep(_STEP_S)
        for name in list(self._wakes):
            self._wake(name)
        for name in _STORM:
            if name in self.crew.at:
                self.crew.kill(name)
                del self.crew.at[name]
        self.tend(arming=False)

    def tend(self, *, arming: bool) -> None:
        """Wakes who has slept enough, starts again who has died, and looks who has caught up."""
        now = time.monotonic()
        for name in [name for name, wakes_s in self._wakes.items() if wakes_s < now]:
            self._wake(name)
        self._read_charges()
        for name in list(self.crew.dead()):
            self._revive(name, arming=arming)
        if now - self._looked_s > _LOOK_EVERY_S:
            self._looked_s = now
            self._look()

    def _revive(self, name: str, *, arming: bool) -> None:
        if name in SERVERS:
            self.crew.servers[name].start()
            return
        if name in _STORM:
            del self.crew.at[name]
            return
        self.crew.ends[f"{role_of(name)} {self.crew.at[name].process.returncode}"] += 1
        if role_of(name) == "engine" and self._random.random() < _WIPED:
            self.crew.wipe(name)
        self.crew.start(name, self._charge(name) if arming and self._random.random() < _ARMED else None)

    def _charge(self, name: str) -> Charge:
        window = self._random.choice(WINDOWS[role_of(name)])
        other = AT_OTHERS.get(window) if self._random.random() < 1 / 3 else None
        victim = self.crew.servers[other].process.pid if other else 0
        return Charge(window, self._passes(window), victim, str(self.charges))

    def _passes(self, window: str) -> int:
        rare = window in ("engine.restored", "sink.noted_owned")
        return self._random.randint(1, 2 if rare else 12)

    def _strike(self) -> None:
        draw = self._random.random()
        if draw < 0.05:
            self._storm()
        elif draw < 0.11:
            self._kill_server("kafka")
        elif draw < 0.22:
            self._kill_server("clickhouse")
        elif draw < 0.26:
            self._pause(self._random.choice(SERVERS))
        elif working := self.crew.working():
            name = self._random.choice(working)
            if draw < 0.40 and name not in _STORM:
                self._pause(name)
            else:
                self._note(role_of(name), "storm" if name in _STORM else "any moment")
                self.crew.kill(name)

    def _kill_server(self, name: str) -> None:
        if name not in self._wakes and self.crew.servers[name].running:
            self._note(name, "any moment")
            self.crew.kill(name)

    def _pause(self, name: str) -> None:
        if name in self._wakes:
            return
        self._note(role_of(name), "pause")
        self.crew.pause(name)
        self._wakes[name] = time.monotonic() + self._random.uniform(1, _MOST_PAUSE_S)

    def _wake(self, name: str) -> None:
        del self._wakes[name]
        self.crew.resume(name)

    def _storm(self) -> None:
        """Two more workers join, so that partitions move; they are killed like any other."""
        for name in _STORM:
            if name not in self.crew.at:
                self.crew.start(name)

    def _read_charges(self) -> None:
        """Strikes of charged workers, which say so before they die."""
        if not self.charges.exists():
            return
        lines = self.charges.read_text().splitlines()
        for line in lines[self._read :]:
            _, window, victim = line.split()
            role = window.split(".")[0]
            self._note(role if victim == "0" else AT_OTHERS[window], window)
        self._read = len(lines)

    def _note(self, target: str, how: str) -> None:
        self.strikes.append(Strike(target, how, time.monotonic(), self.played()))

    def _look(self) -> None:
        waiting = [strike for strike in self.strikes if strike.caught_up_s is None]
        if not waiting:
            return
        reached_ms = progress_ms(self.crew.of("sink"), self.crew.settings.kafka.shards)
        for strike in waiting:
            if reached_ms >= strike.played_ms:
                strike.caught_up_s = time.monotonic() - strike.at_s
