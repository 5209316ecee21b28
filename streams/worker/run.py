"""A worker process, from its start to SIGTERM: ingest, engine or sink.

In: the role and settings. Out: the exit code. Never: two roles in one process.

Every worker serves its metrics and its health, and is watched. The sink's process owns the embedded database, and
answers queries for it.
"""

from __future__ import annotations

import gc
import logging
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from confluent_kafka import KafkaException

from sinks.sink import Database
from streams.settings import Settings
from streams.topics import JOURNAL, RESOLVED
from streams.worker.clients import BrokerUnavailable, registry_of
from streams.worker.ending import EXIT_FAULT, Ending, leave
from streams.worker.faults import traced
from streams.worker.flow import Batching
from streams.worker.health import Health
from streams.worker.offsets import BrokerOffsets
from streams.worker.preflight import note_store_format
from streams.worker.standing import Watched
from streams.worker.start import Refused, await_ground, migrate
from streams.worker.telemetry import Telemetry
from streams.worker.watchdog import Watchdog

if TYPE_CHECKING:
    from streams.worker.app import Frames

log = logging.getLogger(__name__)

_COMMITS_A_SECOND = 160
_COLLECT = 50_000, 20, 100
"""A batch makes hundreds of thousands of objects and no cycles: Python's usual thresholds cost a tenth of the time."""


@dataclass(frozen=True, slots=True)
class Process:
    """What every role has of its process."""

    settings: Settings
    telemetry: Telemetry
    health: Health
    ending: Ending

    def watch(self, watched: Watched, holds_s: float) -> None:
        """From now on this role is watched, and its health told; it may rightly hold records back for so long."""
        offsets, limit_s = BrokerOffsets(self.settings, watched.group), self.settings.worker.stuck_after_s
        watchdog = Watchdog(watched, offsets, limit_s and limit_s + holds_s, self.telemetry)
        self.health.runs(watched, watchdog)
        watchdog.start()


def run_worker(role: str, settings: Settings) -> int:
    """Runs until SIGTERM or SIGINT (exit code 0), or until our own fault ends it (70).

    78: it did not start since something is to be mended; 69: since a server was away for too long.
    """
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    for chatty in ("faust", "mode", "aiokafka"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    gc.set_threshold(*_COLLECT)
    process = Process(settings, Telemetry(role), Health(), Ending(settings.worker.shutdown_s))
    process.ending.on_signal(leave)
    port = process.telemetry.serve(settings.metrics_host, settings.metrics_port, process.health.pages())
    log.info("%s worker; http://%s:%d has /metrics, /live, /ready", role, settings.metrics_host, port)
    try:
        await_ground(role, settings, process.health)
        return ROLES[role](process)
    except Refused as refused:
        log.critical("%s worker does not start: %s", role, refused)
        return refused.code
    except Exception as error:
        log.error("%s worker failed; what it had not committed is worked again\n%s", role, traced(error))
        return EXIT_FAULT
    finally:
        process.ending.begin()


def _ingest(process: Process) -> int:
    from streams.worker.ingest import Ingest  # noqa: PLC0415 each role loads what it needs

    settings, stop = process.settings, threading.Event()
    process.ending.on_signal(stop.set)
    ingest = Ingest(settings, registry_of(settings), process.telemetry)
    process.watch(ingest, settings.ingest.patience_ms / 1000)
    ingest.run(stop)
    return 0


def _engine(process: Process) -> int:
    from streams.worker.app import Frames  # noqa: PLC0415
    from streams.worker.fold import Fold  # noqa: PLC0415

    settings = process.settings
    registry = registry_of(settings)
    note_store_format(settings)
    lane_s = 1 / _COMMITS_A_SECOND if settings.kafka.transactions else 0.0
    batching = Batching(settings.engine.commit_ms / 1000, settings.engine.commit_bytes, lane_s=lane_s)

    def work(shard: int) -> Fold:
        return Fold(shard, settings, registry, process.telemetry)

    return _run_faust("siyu-engine", process, Frames(JOURNAL, work, batching))


def _sink(process: Process) -> int:
    from sinks.serve import query_server  # noqa: PLC0415
    from sinks.urls import open_sink  # noqa: PLC0415
    from streams.worker.app import Frames  # noqa: PLC0415
    from streams.worker.facts import WriteFacts  # noqa: PLC0415

    settings, lock = process.settings, threading.Lock()
    password = settings.sink.password.get_secret_value()
    with ExitStack() as stack:

        def opened() -> Database:
            database = open_sink(settings.sink_url, password)
            stack.callback(database.close)
            return database

        database = migrate(opened, process.health)
        if settings.sink_url.startswith("chdb:"):
            from sinks.embedded import EmbeddedSink  # noqa: PLC0415
            from streams.worker.asked import Replays  # noqa: PLC0415

            reader = EmbeddedSink(settings.sink_url.removeprefix("chdb://"), read_only=True)
            stack.callback(reader.close)
            replays = Replays(settings, database.at(database.name), lock)
            stack.callback(replays.close)
            stack.enter_context(query_server(reader, settings.query_socket, {"replay": replays}))
        batching = Batching(settings.sink.block_ms / 1000, settings.sink.block_bytes)

        def work(shard: int) -> WriteFacts:
            return WriteFacts(shard, settings, database, lock, process.telemetry)

        return _run_faust("siyu-sink", process, Frames(RESOLVED, work, batching, halts=_is_ours))


def _is_ours(error: Exception) -> bool:
    """Whether a block could not be written by a fault of ours in its frames, and of nothing around."""
    from sinks.writer import AnotherWriter  # noqa: PLC0415
    from streams.worker.state.log import OtherLog  # noqa: PLC0415

    around = (AnotherWriter, OtherLog, BrokerUnavailable, KafkaException, OSError, MemoryError)
    return not isinstance(error, around)


def _run_faust(name: str, process: Process, frames: Frames) -> int:
    """Faust's own worker, which handles signals and ends with `SystemExit`."""
    import faust  # noqa: PLC0415

    from streams.worker.app import frame_app  # noqa: PLC0415

    class Worker(faust.Worker):
        def install_signal_handlers(self) -> None:
            """Beside Faust's own, which the event loop calls: ours counts the time also where that is blocked."""
            super().install_signal_handlers()
            process.ending.on_signal(lambda: None)

    app, lanes = frame_app(name, process.settings, frames, process.telemetry)
    process.watch(lanes, frames.batching.wait_s)
    worker = Worker(app, loglevel="WARN", quiet=True, redirect_stdouts=False, override_logging=False)
    try:
        worker.execute_from_commandline()
    except SystemExit as ended:
        return EXIT_FAULT if ended.code else 0
    return 0


ROLES: dict[str, Callable[[Process], int]] = {"ingest": _ingest, "engine": _engine, "sink": _sink}
