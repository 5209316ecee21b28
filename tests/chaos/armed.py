"""A real worker that dies in a named window: between two steps of which the first is done and the second is not.

In: `python -m tests.chaos.armed worker ROLE`, and a charge in the environment. Out: a line in the charge's log, then a
SIGKILL, at the n-th pass of its window. Never: another change of what the worker does.

The product knows nothing of this: public functions of the worker are wrapped from outside, by the table SEAMS.
"""

from __future__ import annotations

import importlib
import json
import os
import random
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from confluent_kafka import Producer

VARIABLE = "CHAOS_CHARGE"
_FLUSH_S = 5.0
_SOON_S = 0.02


@dataclass
class Charge:
    """Kills process `victim` (0: its own) at the n-th pass of `window`, and says so in `log` first."""

    window: str
    passes: int
    victim: int
    log: str

    def text(self) -> str:
        """For the environment."""
        return json.dumps(vars(self))

    def reach(self, window: str) -> None:
        """The worker is in this window now."""
        if window != self.window:
            return
        self.passes -= 1
        if self.passes == 0:
            self._note()
            if self.victim:
                threading.Timer(random.uniform(0, _SOON_S), os.kill, (self.victim, signal.SIGKILL)).start()
            else:
                os.kill(os.getpid(), signal.SIGKILL)

    def _note(self) -> None:
        file = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(file, f"{os.getpid()} {self.window} {self.victim}\n".encode())
        os.close(file)


class Seam(NamedTuple):
    """A function of the worker, and the windows before and after it; a `*` stands for the state of a ledger entry."""

    module: str
    name: str
    before: str = ""
    after: str = ""


SEAMS = (
    Seam("streams.worker.reader", "Reader.read", after="ingest.read"),
    Seam("streams.worker.sender", "Sender.send", after="ingest.sent"),
    Seam("streams.worker.reader", "Reader.commit", before="ingest.acknowledged", after="ingest.committed"),
    Seam("streams.worker.fold", "Fold.open", after="engine.restored"),
    Seam("streams.worker.fold", "Fold.process", before="engine.taken", after="engine.stored"),
    Seam("streams.worker.output", "Output.commit", before="engine.folded", after="engine.committed"),
    Seam("faust.events", "Event.ack", after="engine.acknowledged"),
    Seam("sinks.ledger", "append", before="sink.to_note_*", after="sink.noted_*"),
    Seam("sinks.native", "NativeSink.insert", before="sink.inserting", after="sink.inserted"),
    Seam("sinks.writer", "BlockWriter.write", after="sink.written"),
)

WINDOWS = {
    "ingest": ("ingest.read", "ingest.sent", "ingest.acknowledged", "ingest.committed"),
    "engine": (
        "engine.restored",
        "engine.taken",
        "engine.folded",
        "engine.published",
        "engine.committed",
        "engine.stored",
        "engine.acknowledged",
    ),
    "sink": (
        "sink.to_note_begun",
        "sink.noted_begun",
        "sink.inserting",
        "sink.inserted",
        "sink.to_note_done",
        "sink.noted_done",
        "sink.noted_owned",
        "sink.written",
    ),
}
"""By role; `engine.published` lies inside the transaction: all is sent, nothing is committed."""

AT_OTHERS = {"engine.published": "kafka", "engine.folded": "kafka", "sink.inserting": "clickhouse"}
"""Windows in which also the server dies that the worker is speaking to."""


def arm(charge: Charge) -> None:
    """Wraps the functions of every seam that this process can load."""
    for seam in SEAMS:
        _wrap(seam, charge)
    _arm_transactions(charge)


def _wrap(seam: Seam, charge: Charge) -> None:
    owner: Any = importlib.import_module(seam.module)
    *parents, name = seam.name.split(".")
    for parent in parents:
        owner = getattr(owner, parent)
    setattr(owner, name, _wrapped(getattr(owner, name), seam, charge))


def _wrapped(inner: Callable[..., Any], seam: Seam, charge: Charge) -> Callable[..., Any]:
    def outer(*arguments: Any, **named: Any) -> Any:
        idle = [] in arguments  # a commit or a read of nothing is no work in flight
        charge.reach("" if idle else _window(seam.before, arguments))
        result = inner(*arguments, **named)
        charge.reach("" if idle or result == [] else _window(seam.after, arguments))
        return result

    return outer


def _window(name: str, arguments: tuple[Any, ...]) -> str:
    return name[:-1] + str(arguments[1].state) if name.endswith("*") else name


def _arm_transactions(charge: Charge) -> None:
    class Armed(Producer):
        def commit_transaction(self, *arguments: Any) -> None:
            self.flush(_FLUSH_S)
            charge.reach("engine.published")
            super().commit_transaction(*arguments)

    importlib.import_module("streams.worker.output").__dict__["Producer"] = Armed


def main() -> None:
    """Arms this process, and runs the command line as `siyu` does."""
    from streams.cli.main import main as siyu  # noqa: PLC0415 after the arming, which is what this process is for

    arm(Charge(**json.loads(os.environ.pop(VARIABLE))))
    sys.exit(siyu(sys.argv[1:]))


if __name__ == "__main__":
    sys.path.insert(0, str(Path.cwd()))
    main()
