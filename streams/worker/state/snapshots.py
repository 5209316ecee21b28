"""When a shard's snapshot is due, and taking it beside the live work.

In: the tables after each commit. Out: snapshots in the archive; a changelog that begins later, where that is wanted.
Never: a wait of the lane on a disk or a network; a failure that ends the shard; a record deleted that the older of two
kept snapshots does not have.

A snapshot is due after so many changed rows, or as many as there are rows, so that writing them stays a small part of
the work however big the state is; and after so long. After an erasure as many as are kept are due at once, so that none
has the erased, and one that is under way is given up; each says how often somebody had been erased by then, so the next
owner knows what is left to do. One is taken at a time in a process: two would only take the interpreter from each other
and from the lanes.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from streams.compact.keys import Wiped
from streams.journal.tables import Tables
from streams.settings import Snapshots as Schedule
from streams.worker.clients import BrokerUnavailable
from streams.worker.state.archive import KEPT, Archive
from streams.worker.state.snapshot import Header, view, write
from streams.worker.state.store import Part, Position
from streams.worker.telemetry import Telemetry
from streams.worker.work import Abandoned

log = logging.getLogger(__name__)

_TURN = threading.Lock()
_POLL_S = 0.2
_AGAIN_AFTER_S = 60.0
_LET_GO_WITHIN_S = 5.0


def erasures_of(tables: Tables) -> int:
    """How often a node was erased, all in all."""
    return sum(times for times, _ in tables.table("erased").values())


class Snapshots:
    """Those of one shard. `prune(offset)` deletes what its changelog has below that offset.

    `erasures`: those of the tables that it goes on from (see `erasures_of`).
    """

    def __init__(
        self,
        shard: int,
        schedule: Schedule,
        archive: Archive,
        telemetry: Telemetry,
        prune: Callable[[int], None],
        *,
        erasures: int = 0,
    ) -> None:
        self._shard = shard
        self._schedule = schedule
        self._archive = archive
        self._telemetry = telemetry
        self._prune = prune
        self._rows = 0
        self._pause_ms = 0.0
        headers = self._headers()
        self._due_ms = headers[0].begun_ms + schedule.every_s * 1000 if headers else 0.0
        self._wanted = KEPT - sum(header.erasures == erasures for header in headers) if erasures else 0
        self._prune_below([header.position.changelog for header in headers])  # the last owner may not have come to it
        self._stopping = threading.Event()
        self._outdated = threading.Event()
        self._thread: threading.Thread | None = None

    def _headers(self) -> list[Header]:
        """Of those that are kept, the newest first, as far as they can be read.

        Where there is none one is due at once, which also shows early that the place is of use.
        """
        found = []
        try:
            for kept in self._archive.kept()[:KEPT]:
                with self._archive.load(kept) as (header, _):
                    found.append(header)
        except Exception as error:  # whatever the place's driver raises
            log.warning("shard %d: a kept snapshot can't be read: %s", self._shard, error)
        return found

    def anew(self) -> None:
        """Somebody was erased: as many snapshots as are kept are due, and the one under way is of no use."""
        self._wanted = KEPT
        self._outdated.set()

    def committed(self, tables: Tables, position: Position, changed: int) -> None:
        """Takes a snapshot if one is due. `tables` stand at `position`, and differ in `changed` rows from before."""
        self._rows += changed
        if self._is_due(tables) and (self._thread is None or not self._thread.is_alive()):
            rows = view(tables)
            now_ms = int(time.time() * 1000)
            size, erasures = sum(tables.sizes().values()), erasures_of(tables)
            header = Header(self._shard, position, self._archive.here, size, now_ms, erasures)
            self._rows, self._due_ms = 0, now_ms + self._schedule.every_s * 1000
            wanted, self._wanted = bool(self._wanted), max(0, self._wanted - 1)
            self._outdated.clear()
            name = f"snapshot-{self._shard}"
            self._thread = threading.Thread(target=self._take, args=(header, rows, wanted), name=name, daemon=True)
            self._thread.start()

    def _is_due(self, tables: Tables) -> bool:
        if self._wanted and time.time() * 1000 >= self._pause_ms:
            return True
        enough = max(self._schedule.every_rows, sum(tables.sizes().values()))
        return self._rows >= enough or time.time() * 1000 >= self._due_ms

    def _take(self, header: Header, rows: Iterable[Part], wanted: bool) -> None:
        """In a thread of its own."""
        try:
            with self._turn():
                began = time.monotonic()
                size = self._keep(header, rows)
            self._measure(header, time.monotonic() - began, size)
        except (Abandoned, Wiped):  # a row that it had yet to write may be of somebody who is erased by now
            log.info("shard %d: a snapshot was given up", self._shard)
            self._wanted = min(KEPT, self._wanted + wanted)
        except Exception as error:  # whatever the place's driver raises
            log.warning("shard %d: no snapshot could be kept: %s", self._shard, error)
            self._telemetry.count("siyu_snapshot_failures_total", shard=self._shard)
            self._due_ms = self._pause_ms = time.time() * 1000 + _AGAIN_AFTER_S * 1000
            self._wanted = min(KEPT, self._wanted + wanted)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        while not _TURN.acquire(timeout=_POLL_S):
            if self._stopping.is_set():
                raise Abandoned
        try:
            yield
        finally:
            _TURN.release()

    def _keep(self, header: Header, rows: Iterable[Part]) -> int:
        sizes: list[int] = []
        kept = self._archive.save(header.position.changelog, self._pieces(write(header, rows), sizes))
        log.info("shard %d: snapshot %s of %d rows, %d bytes", self._shard, kept.path, header.rows, sum(sizes))
        self._prune_below([one.changelog for one in self._archive.drop_old()])
        return sum(sizes)

    def _pieces(self, made: Iterator[bytes], sizes: list[int]) -> Iterator[bytes]:
        """Lets the lanes have the interpreter half of the time."""
        began = time.perf_counter()
        for piece in made:
            sizes.append(len(piece))
            if self._stopping.wait(time.perf_counter() - began) or self._outdated.is_set():
                raise Abandoned
            yield piece
            began = time.perf_counter()

    def _prune_below(self, kept: Sequence[int]) -> None:
        """Of the changelog what no kept snapshot needs: those reach to these offsets, the newest first."""
        if not self._schedule.prune or len(kept) < KEPT:
            return
        try:
            self._prune(kept[-1])
        except BrokerUnavailable as error:
            log.warning("shard %d: its changelog stays as it is: %s", self._shard, error)

    def _measure(self, header: Header, took_s: float, size: int) -> None:
        telemetry, shard = self._telemetry, self._shard
        telemetry.count("siyu_snapshots_total", shard=shard)
        telemetry.set("siyu_snapshot_timestamp_seconds", header.begun_ms / 1000, shard=shard)
        telemetry.set("siyu_snapshot_seconds", took_s, shard=shard)
        telemetry.set("siyu_snapshot_bytes", size, shard=shard)

    def close(self) -> None:
        """Gives up what is under way. A place that hangs is not waited for: what comes of it later is of use too."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(_LET_GO_WITHIN_S)
