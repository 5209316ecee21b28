"""A worker process, from its start to SIGTERM: ingest, engine or sink.

In: the role and settings. Out: the exit code. Never: two roles in one process.

Every worker serves its own metrics. The sink's process owns the embedded database, and answers queries for it.
"""

from __future__ import annotations

import logging
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from streams.settings import Settings
from streams.topics import JOURNAL, RESOLVED
from streams.worker.clients import registry_of
from streams.worker.lane import EXIT_FAULT, Abandoned, Batching
from streams.worker.telemetry import Telemetry

if TYPE_CHECKING:
    from sinks.sink import Database

log = logging.getLogger(__name__)


_COMMITS_A_SECOND = 160


def run_worker(role: str, settings: Settings) -> int:
    """Runs until SIGTERM or SIGINT (exit code 0), or until our own fault ends it (70)."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    for chatty in ("faust", "mode", "aiokafka"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    telemetry = Telemetry(role)
    port = telemetry.serve(settings.metrics_host, settings.metrics_port)
    log.info("%s worker; metrics at http://%s:%d/metrics", role, settings.metrics_host, port)
    try:
        return ROLES[role](settings, telemetry)
    except Exception:
        log.exception("%s worker failed; what it had not committed is worked again", role)
        return EXIT_FAULT


def _ingest(settings: Settings, telemetry: Telemetry) -> int:
    from streams.worker.ingest import Ingest  # noqa: PLC0415 each role loads what it needs

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    Ingest(settings, registry_of(settings), telemetry).run(stop)
    return 0


def _engine(settings: Settings, telemetry: Telemetry) -> int:
    from streams.worker.app import Frames, frame_app  # noqa: PLC0415
    from streams.worker.fold import Fold  # noqa: PLC0415

    registry = registry_of(settings)
    lane_s = 1 / _COMMITS_A_SECOND if settings.kafka.transactions else 0.0
    batching = Batching(settings.engine.commit_ms / 1000, settings.engine.commit_bytes, lane_s=lane_s)

    def work(shard: int) -> Fold:
        return Fold(shard, settings, registry, telemetry)

    return _run_faust(frame_app("siyu-engine", settings, Frames(JOURNAL, work, batching), telemetry))


def _sink(settings: Settings, telemetry: Telemetry) -> int:
    from sinks.serve import query_server  # noqa: PLC0415
    from sinks.urls import open_sink  # noqa: PLC0415
    from streams.worker.app import Frames, frame_app  # noqa: PLC0415
    from streams.worker.facts import WriteFacts  # noqa: PLC0415

    password = settings.sink.password.get_secret_value()
    lock = threading.Lock()
    with ExitStack() as stack:
        database = open_sink(settings.sink_url, password)
        stack.callback(database.close)
        if not _prepared(database, telemetry):
            return 0
        if settings.sink_url.startswith("chdb:"):
            from sinks.embedded import EmbeddedSink  # noqa: PLC0415
            from streams.worker.asked import Replays  # noqa: PLC0415

            reader = EmbeddedSink(settings.sink_url.removeprefix("chdb://"), read_only=True)
            stack.callback(reader.close)
            replays = Replays(settings, database.at(database.name), lock)
            stack.callback(replays.close)
            stack.enter_context(query_server(reader, settings.query_socket, {"replay": replays}))
        batching = Batching(settings.sink.block_ms / 1000, settings.sink.block_bytes, queue=256)

        def work(shard: int) -> WriteFacts:
            return WriteFacts(shard, settings, database, lock, telemetry)

        return _run_faust(frame_app("siyu-sink", settings, Frames(RESOLVED, work, batching), telemetry))


def _prepared(database: Database, telemetry: Telemetry) -> bool:
    """Whether the tables are as they should be, as soon as ClickHouse is there; not when it is to end before."""
    from sinks import swap  # noqa: PLC0415
    from sinks.migrations import runner  # noqa: PLC0415
    from streams.worker.facts import Waiting, until_available  # noqa: PLC0415

    stop = threading.Event()
    usual = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGTERM, signal.SIGINT)}
    waiting = Waiting("every", telemetry)
    try:
        if until_available(lambda: swap.finish(database), waiting, stop):
            log.warning("a swap of rebuilt tables had been cut off; it is finished now")
        until_available(lambda: runner.apply(database), waiting, stop)
    except Abandoned:
        return False
    finally:
        for number, handler in usual.items():
            signal.signal(number, handler)
    telemetry.forget("siyu_sink_available", shard="every")
    return True


def _run_faust(app: Any) -> int:
    """Faust's own worker, which handles signals and ends with `SystemExit`."""
    import faust  # noqa: PLC0415

    worker = faust.Worker(app, loglevel="WARN", quiet=True, redirect_stdouts=False, override_logging=False)
    try:
        worker.execute_from_commandline()
    except SystemExit as ended:
        return EXIT_FAULT if ended.code else 0
    return 0


ROLES: dict[str, Callable[[Settings, Telemetry], int]] = {"ingest": _ingest, "engine": _engine, "sink": _sink}
