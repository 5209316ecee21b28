"""How a worker process ends: told to by a signal, within a time, or hard.

In: SIGTERM and SIGINT. Out: what the role does to end; exit code 70 where that took too long. Never: a signal lost.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

log = logging.getLogger(__name__)

EXIT_FAULT = 70
SIGNALS = (signal.SIGTERM, signal.SIGINT)


def end_process() -> None:
    """Ends this process at once, the log written: no other lane or service gets to acknowledge anything."""
    logging.shutdown()
    os._exit(EXIT_FAULT)


class Ending:
    """The end of this process: from `begin` on it may take `within_s`."""

    def __init__(self, within_s: float, end: Callable[[], None] = end_process) -> None:
        self._within_s = within_s
        self._end = end
        self._begun = False

    def begin(self) -> None:
        """The time runs from the first call on."""
        if not self._begun:
            self._begun = True
            timer = threading.Timer(self._within_s, self._hard)
            timer.daemon = True
            timer.start()

    def _hard(self) -> None:
        log.critical("this worker did not end within %.0f s; ending it with %d", self._within_s, EXIT_FAULT)
        self._end()

    def on_signal(self, then: Callable[[], object]) -> None:
        """From now on a signal begins the end, and does this. In the main thread only."""

        def told(number: int, _: FrameType | None) -> None:
            self.begin()
            then()

        for number in SIGNALS:
            signal.signal(number, told)


def leave() -> NoReturn:
    """Ends a process that has begun nothing yet."""
    raise SystemExit(0)
