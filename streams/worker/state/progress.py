"""What an operator sees of a restore while it runs.

In: how much of what was read. Out: two gauges, and a line in the log every few seconds. Never: more than that.
"""

from __future__ import annotations

import logging
import threading
import time

from streams.worker.telemetry import Telemetry
from streams.worker.work import Abandoned

log = logging.getLogger(__name__)

_LOG_EVERY_S = 3.0


class Progress:
    """Of one shard's restore; `told` raises Abandoned as soon as `stopping` is set."""

    def __init__(self, shard: int, telemetry: Telemetry, stopping: threading.Event) -> None:
        self._shard = shard
        self._telemetry = telemetry
        self._stopping = stopping
        self._logged_s = time.monotonic()
        self.steps = 0
        """How often there was something to tell: while it rises the restore gets on."""

    def told(self, part: str, done: int, of: int) -> None:
        """So much of this part (store, snapshot, changelog) has been read, of so much about."""
        if self._stopping.is_set():
            raise Abandoned
        self.steps += 1
        self._telemetry.set("siyu_restore_records", done, shard=self._shard, part=part)
        self._telemetry.set("siyu_restore_records_expected", of, shard=self._shard, part=part)
        if time.monotonic() - self._logged_s > _LOG_EVERY_S:
            self._logged_s = time.monotonic()
            log.info("shard %d is being restored: %d of about %d, %s", self._shard, done, of, part)
