"""Lets a worker start only on ground that is as it should be, and says in one sentence what to mend where it is not.

In: settings, a role. Out: nothing when all is good. Never: a change of anything before that.

What may pass by waiting (a server that is away, topics in the making) is waited for, so that everything may be started
at once; what needs somebody ends the start at once.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable

from sinks import swap
from sinks.migrations import runner
from sinks.sink import Database, SinkUnavailable
from streams.settings import Settings
from streams.worker.health import Health
from streams.worker.preflight import Finding, findings, tables

log = logging.getLogger(__name__)

EXIT_AWAY = 69
EXIT_REFUSED = 78
_AGAIN_S = 1.0


class Refused(Exception):
    """The worker must not start; the message says what to mend. `code` is its exit code."""

    def __init__(self, bad: Iterable[Finding], code: int) -> None:
        super().__init__("; ".join(f"{finding.about}: {finding.sentence}" for finding in bad))
        self.code = code


def await_ground(role: str, settings: Settings, health: Health) -> None:
    """Returns when everything that this role needs stands, its database excepted.

    Raises Refused: with EXIT_REFUSED where something is to be mended, with EXIT_AWAY where a server was away too long.
    """
    gives_up = time.monotonic() + settings.worker.start_within_s
    while bad := [finding for finding in findings(settings, role) if not finding.good]:
        if not all(finding.passing for finding in bad):
            raise Refused([finding for finding in bad if not finding.passing], EXIT_REFUSED)
        if time.monotonic() >= gives_up:
            raise Refused(bad, EXIT_AWAY if bad[0].away else EXIT_REFUSED)
        _wait(health, f"{bad[0].about}: {bad[0].sentence}")


def migrate(opened: Callable[[], Database], health: Health) -> Database:
    """The database with our tables as they should be; waits for as long as it is away, as its sink does later.

    Raises Refused: its tables are of a newer or another program.
    """
    database: Database | None = None
    while True:
        try:
            database = database or opened()
            if swap.finish(database):
                log.warning("a swap of rebuilt tables had been cut off; it is finished now")
            finding = tables(database)
            if not finding.good and not finding.passing:
                raise Refused([finding], EXIT_REFUSED)
            runner.apply(database)
            return database
        except SinkUnavailable as error:
            _wait(health, f"ClickHouse: {error}")


def _wait(health: Health, why: str) -> None:
    log.warning("not started yet, waits: %s", why)
    health.starting = f"it waits: {why}"
    time.sleep(_AGAIN_S)
