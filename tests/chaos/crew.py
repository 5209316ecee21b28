"""The workers and servers of a chaos run, and a supervisor that starts again what has died.

In: settings, servers, charges. Out: processes. Never: a process left behind; a judgement of what came out.
"""

from __future__ import annotations

import signal
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from streams.settings import Settings
from streams.worker import stack
from streams.worker.servers import Server
from streams.worker.servers.process import free_ports
from tests.chaos.armed import VARIABLE, Charge

NAMES = ("ingest1", "ingest2", "engine1", "engine2", "sink1", "sink2")


@dataclass
class Crew:
    """Workers by name; each has a data folder of its own, which is its host's disk."""

    settings: Settings
    folder: Path
    servers: dict[str, Server]
    at: dict[str, stack.Worker] = field(default_factory=dict)
    charged: dict[str, Charge] = field(default_factory=dict)
    paused: set[str] = field(default_factory=set)
    ends: Counter[str] = field(default_factory=Counter)
    _disks: Counter[str] = field(default_factory=Counter)

    def start(self, name: str, charge: Charge | None = None) -> None:
        """Starts it on its disk; charged, it dies in a window by itself."""
        own = self.settings.model_copy(update={"data": self.folder / f"{name}-{self._disks[name]}"})
        (port,) = free_ports(1)
        siyu = [sys.executable, "-m", "tests.chaos.armed"] if charge else stack.COMMAND
        variables = {VARIABLE: charge.text()} if charge else {}
        log = self.folder / f"{name}.log"
        self.at[name] = stack.start_worker(own, role_of(name), port, log, siyu, **variables)
        self.charged.pop(name, None)
        if charge:
            self.charged[name] = charge

    def wipe(self, name: str) -> None:
        """Its next start finds an empty disk."""
        self._disks[name] += 1

    def kill(self, name: str) -> None:
        """kill -9 of a worker or a server; the process is gone when it returns."""
        process = self.servers[name].process if name in self.servers else self.at[name].process
        process.kill()
        process.wait()

    def pause(self, name: str) -> None:
        """SIGSTOP: to the others it is dead, until it wakes up and knows nothing of that."""
        self._signal(name, signal.SIGSTOP)
        self.paused.add(name)

    def resume(self, name: str) -> None:
        """SIGCONT."""
        self.paused.discard(name)
        self._signal(name, signal.SIGCONT)

    def _signal(self, name: str, number: int) -> None:
        process = self.servers[name].process if name in self.servers else self.at[name].process
        process.send_signal(number)  # does nothing to one that has ended

    def dead(self) -> Iterator[str]:
        """Workers and servers that have ended, whoever ended them."""
        yield from (name for name, worker in self.at.items() if worker.process.poll() is not None)
        yield from (name for name, server in self.servers.items() if not server.running)

    def working(self) -> list[str]:
        """Workers that have worked a batch since they were started, and are not paused."""
        running = [
            name for name, worker in self.at.items() if worker.process.poll() is None and name not in self.paused
        ]
        return [name for name in running if has_worked(self.at[name])]

    def of(self, role: str) -> list[stack.Worker]:
        """The workers of this role that answer."""
        return [worker for name, worker in self.at.items() if role_of(name) == role and name not in self.paused]

    def end(self) -> dict[str, int]:
        """SIGTERM to all; their exit codes."""
        for worker in self.at.values():
            worker.process.send_signal(signal.SIGTERM)
        return {name: worker.process.wait(40) for name, worker in self.at.items()}

    def abort(self) -> None:
        """Leaves no worker behind."""
        for worker in self.at.values():
            worker.process.kill()
            worker.process.wait()


@contextmanager
def crew(settings: Settings, folder: Path, servers: dict[str, Server]) -> Iterator[Crew]:
    """All workers, started; gone when the block ends."""
    found = Crew(settings, folder, servers)
    try:
        for name in NAMES:
            found.start(name)
        yield found
    finally:
        found.abort()


def role_of(name: str) -> str:
    """engine1 is an engine."""
    return name.rstrip("0123456789")


def has_worked(worker: stack.Worker) -> bool:
    """Whether it has worked a batch since it was started."""
    counted = ("siyu_batch_seconds_count", "siyu_sink_seconds_count")
    return any(name in counted and value > 0 for (name, _), value in worker.metrics().items())
