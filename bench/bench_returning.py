"""What an engine takes for customers who come back, where ten million other ids are known beside where few are.

In: seeded traffic of people who were known some days before; other known customers of six ids each.
Out: memory with so many ids; events/s of `Persons.resolve` alone and of the whole engine with its commits, by CPU time
of the thread, of the baseline too; and what is kept of the baseline's throughput.
Never: a broker; a person of the traffic whose rows are at hand when the clock starts, where others are many.

    python -m bench.bench_returning [--stored 65536] [--beside 100000] [10000000]

Both engines take each frame in turns, so that a machine that is faster for a while is so for both. `--stored`: rows of
the many are in a store on disk (`engine.memory_rows`), whose pages stay in the memory of the system.
"""

from __future__ import annotations

import argparse
import gc
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from bench.bench_ids import rows_of
from bench.bench_stages import frames_over
from bench.measure import resident_mib, tell
from bench.traffic import TrafficSpec, plan
from bench.traffic.spec import DAY, START_MS
from streams.engine import Engine, EngineConfig
from streams.identity.nodes import Evidence
from streams.journal.frame import Frame
from streams.journal.rows import EventRow, Rows
from streams.journal.tables import Change, Tables
from streams.worker.state.rocks import RocksStore
from streams.worker.state.store import Position, loaded

_BATCH = 10_000
_CONFIG = EngineConfig(b"bench")
Work = Callable[[int, Frame], tuple[int, float]]
"""Takes a frame, with its place; the events, and the seconds that they took."""


def main() -> None:
    """The many, the few beside them, and both in turns."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("others", nargs="?", type=int, default=10_000_000, help="other ids that are known")
    parser.add_argument("--beside", type=int, default=100_000, help="the same, of the baseline")
    parser.add_argument("--people", type=int, default=2_000)
    parser.add_argument("--stored", type=int, default=0, metavar="ROWS", help="from a store; engine.memory_rows")
    parser.add_argument("--store", type=Path, help="a folder in which a filled store is kept for the next time")
    given = parser.parse_args()
    before_mib = resident_mib(os.getpid())
    known = _traffic(given.people)
    traffic_mib = resident_mib(os.getpid()) - before_mib
    gc.disable()
    with TemporaryDirectory() as folder:
        store = _filled(known.rows, given.others, given.stored, given.store or Path(folder)) if given.stored else None
        engines = [Engine(0, _CONFIG, loaded(store) if store is not None else _all(known.rows, given.others))]
        gib = (resident_mib(os.getpid()) - traffic_mib) / 1024
        engines.append(Engine(0, _CONFIG, _all(known.rows, given.beside)))
        tell("returning", other_ids=given.others, beside=given.beside, memory_rows=given.stored, resident_gib=gib)
        _tell("resolve", known.to_resolve, [partial(_resolved, engine) for engine in engines])
        _tell("engine", known.to_fold, [partial(_folded, engines[0], store), partial(_folded, engines[1], None)])
        if store is not None:
            store.close()


class _Known(NamedTuple):
    """The rows after some days of these people, and the same days again, later: of half of them to be folded."""

    rows: list[Change]
    to_fold: list[Frame]
    to_resolve: list[Frame]


def _traffic(people: int) -> _Known:
    half = people // 2
    begun = ((7, 0), (8, 5), (7, 10), (8, 10))
    specs = [TrafficSpec(seed, half, start_ms=START_MS + days * DAY) for seed, days in begun]
    mine, others, mine_later, others_later = map(plan, specs)
    frames = frames_over([mine, others, mine_later])
    starts = next(at for at, frame in enumerate(frames) if _begins_ms(frame) >= mine_later.spec.start_ms)
    engine = Engine(0, _CONFIG, Tables())
    for offset, frame in enumerate(frames[:starts]):
        engine.step(offset, frame)
    return _Known(engine.tables.take_changes(), frames[starts:], frames_over([others_later]))


def _begins_ms(frame: Frame) -> int:
    return int(frame.events.column("received_ms")[0].as_py()) if frame.events.num_rows else 0


def _all(known: Iterable[Change], others: int) -> Tables:
    """All rows in this process, those of the traffic first, so that they are packed first."""
    tables = Tables(known)
    for row in rows_of(others):
        tables.take((row,))
    return tables


def _filled(known: Iterable[Change], others: int, memory_rows: int, folder: Path) -> RocksStore:
    """A copy, since the fold commits to it; filled as a worker does that has all in memory."""
    kept, used = folder / f"of-{others}", folder / "used"
    if not kept.exists():
        _fill(kept, chain(known, rows_of(others)))
    shutil.rmtree(used, ignore_errors=True)
    shutil.copytree(kept, used)
    store = RocksStore(used, memory_rows)
    store.ready(lambda done: None)
    return store


def _fill(folder: Path, rows: Iterator[Change]) -> None:
    store, number = RocksStore(folder), 0
    while part := list(islice(rows, _BATCH)):
        number += 1
        store.commit(part, Position(0, number))
    store.close()


def _tell(what: str, frames: Iterable[Frame], works: Sequence[Work]) -> None:
    events, spent_s = 0, [0.0] * len(works)
    for offset, frame in enumerate(frames):
        for at in (0, 1) if offset % 2 else (1, 0):
            taken, seconds = works[at](offset, frame)
            spent_s[at] += seconds
        events += taken
    many, few = (round(events / seconds) for seconds in spent_s)
    tell("returning", what=what, events=events, events_per_second=many, baseline_per_second=few, kept=many / few)


def _resolved(engine: Engine, offset: int, frame: Frame) -> tuple[int, float]:
    """Nodes are made before the clock starts."""
    rows = [row for row in Rows(frame, [0] * len(frame.ranges)) if isinstance(row, EventRow)]
    ready = [(row.nodes, Evidence(row.event_id, row.event_time_ms)) for row in rows if row.nodes]
    persons, began = engine.persons, time.thread_time()
    for nodes, evidence in ready:
        persons.resolve(nodes, evidence)
    persons.take_facts()
    return len(rows), time.thread_time() - began


def _folded(engine: Engine, store: RocksStore | None, offset: int, frame: Frame) -> tuple[int, float]:
    """With a commit for each frame; the journal goes on from where the rows were."""
    began = time.thread_time()
    engine.step(offset, frame)
    changes = engine.tables.take_changes()
    if store is not None:
        store.commit(changes, Position(offset, offset))
    return frame.events.num_rows, time.thread_time() - began


if __name__ == "__main__":
    main()
