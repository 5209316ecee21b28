"""How many facts a second one block writer puts into ClickHouse, and what of it is the writer's own work.

In:    rows of a block, rows of a frame, blocks; seeded events as wide as the real ones.
Out:   one JSON line a run: rows/s, CPU µs per row of this process and of the server, for the writer and for bare
       inserts of the same batches (the floor).
Never: Kafka, an engine. Embedded, the engine's CPU is this process's.

    python -m bench.bench_sink --blocks 8 --block-rows 100000 --frame-rows 5000
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import pyarrow as pa

from schemas.columns import FACTS
from schemas.frames import Resolved
from sinks.batches import Block, BlockSize
from sinks.embedded import EmbeddedSink
from sinks.memory import MemorySink
from sinks.migrations import runner
from sinks.native import Address, NativeSink
from sinks.sink import Sink
from sinks.writer import BlockWriter
from streams.worker.servers import ServerUnavailable, clickhouse_server

START_MS = 1_718_000_000_000
TYPES = ["page_view", "product_view", "search", "add_to_cart", "order_submitted", "order_paid", "share"]
TOUCHPOINTS = ["miniprogram", "official_account", "wecom", "h5", "app", "ads", "pos"]


@dataclass(frozen=True)
class Place:
    """A sink, and where the CPU of its engine is counted (0: in this process)."""

    name: str
    sink: Sink
    pid: int = 0


@dataclass(frozen=True)
class Usage:
    """Seconds of the wall clock and of CPU, ours and the server's."""

    wall: float
    own: float
    server: float


def main() -> None:
    """Measures memory, embedded and, where it can run, a server."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--blocks", type=int, default=8)
    parser.add_argument("--block-rows", type=int, default=100_000)
    parser.add_argument("--frame-rows", type=int, default=5_000)
    given = parser.parse_args()
    if given.block_rows < given.frame_rows:
        parser.error(f"a block of {given.block_rows} rows holds no frame of {given.frame_rows}: raise --block-rows")
    frames = _frames(given.block_rows // given.frame_rows, given.frame_rows)
    # Each on tables of its own, or the merges of one would be the other's CPU.
    for opening, measure in [(_memory, _written), *product((_embedded, _native), (_bare, _written))]:
        try:
            with opening() as place:
                measure(place, frames, given.blocks)
        except ServerUnavailable as unavailable:
            print(json.dumps({"skipped": str(unavailable)}), flush=True)


def _bare(place: Place, frames: list[Resolved], blocks: int) -> None:
    batch = Block(tuple(frames)).tables(0)["events"]
    _report(place, "bare insert", batch.num_rows, blocks, lambda _: place.sink.insert("events", batch))


def _written(place: Place, frames: list[Resolved], blocks: int) -> None:
    rows = sum(frame.tables["events"].num_rows for frame in frames)
    writer = BlockWriter(place.sink, 0, size=BlockSize(rows=rows, bytes=1 << 40))

    def write(block: int) -> None:
        first = block * len(frames)
        written = writer.write(replace(frame, journal_offset=first + at) for at, frame in enumerate(frames))
        assert written.blocks == 1, written

    _report(place, "block writer", rows, blocks, write)


def _report(place: Place, what: str, rows: int, blocks: int, step: Callable[[int], None]) -> None:
    step(0)
    before = _usage(place)
    for block in range(1, blocks + 1):
        step(block)
    after, total = _usage(place), rows * blocks
    line = {
        "sink": place.name,
        "what": what,
        "rows": total,
        "block_rows": rows,
        "rows_per_s": round(total / (after.wall - before.wall)),
        "own_cpu_us_per_row": round((after.own - before.own) * 1e6 / total, 2),
        "server_cpu_us_per_row": round((after.server - before.server) * 1e6 / total, 2),
    }
    print(json.dumps(line), flush=True)


@contextmanager
def _memory() -> Iterator[Place]:
    yield Place("memory", MemorySink())


@contextmanager
def _embedded() -> Iterator[Place]:
    with tempfile.TemporaryDirectory() as folder:
        sink = EmbeddedSink(Path(folder) / "facts")
        runner.apply(sink)
        yield Place("chdb", sink)
        sink.close()


@contextmanager
def _native() -> Iterator[Place]:
    with tempfile.TemporaryDirectory() as folder, clickhouse_server(Path(folder)) as server:
        sink = NativeSink(Address("127.0.0.1", server.port))
        runner.apply(sink)
        yield Place(f"clickhouse {'.'.join(map(str, sink.version))}", sink, server.process.pid)
        sink.close()


def _usage(place: Place) -> Usage:
    return Usage(time.perf_counter(), time.process_time(), _server_cpu(place.pid) if place.pid else 0.0)


def _server_cpu(pid: int) -> float:
    """User and system seconds of a process, as Linux counts them (in hundredths)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


def _frames(count: int, rows: int) -> list[Resolved]:
    chosen = random.Random(7)
    return [Resolved(0, index, START_MS, {"events": _events(chosen, index, rows)}) for index in range(count)]


def _events(chosen: random.Random, index: int, rows: int) -> pa.RecordBatch:
    """Events of three seconds of 30,000 people; half of the optional columns are empty, as in real traffic."""
    return pa.RecordBatch.from_arrays([_column(chosen, field, index, rows) for field in FACTS], schema=FACTS)


def _column(chosen: random.Random, field: pa.Field, index: int, rows: int) -> pa.Array:
    made = _MADE.get(field.name)
    if made is None:
        return pa.repeat(pa.scalar(None if field.nullable else "miniprogram", field.type), rows)
    return pa.array([made(chosen, index * rows + row) for row in range(rows)], field.type)


def _hex(chosen: random.Random, _: int) -> str:
    return f"{random.Random(chosen.randrange(30_000)).getrandbits(128):032x}"


_MADE: dict[str, Callable[[random.Random, int], object]] = {
    "event_id": lambda chosen, _: f"{chosen.getrandbits(128):032x}",
    "tenant": lambda chosen, _: "brand",
    "event_type": lambda chosen, _: chosen.choice(TYPES),
    "event_time_ms": lambda chosen, row: START_MS + row // 30 + chosen.randrange(3000),
    "received_ms": lambda chosen, row: START_MS + row // 30 + 3000,
    "touchpoint": lambda chosen, _: chosen.choice(TOUCHPOINTS),
    "scene": lambda chosen, _: chosen.choice([None, "1001", "1089", "1154"]),
    "channel": lambda chosen, _: chosen.choice([None, f"qr{chosen.randrange(500)}"]),
    "order_id": lambda chosen, row: f"SO{row:012d}" if row % 9 == 0 else None,
    "amount_fen": lambda chosen, row: chosen.randrange(100_000) if row % 9 == 0 else None,
    "item_id": lambda chosen, _: chosen.choice([None, f"sku{chosen.randrange(3000)}"]),
    "properties": lambda chosen, row: json.dumps({"page": f"pages/{chosen.randrange(99)}", "dwell": str(row % 300)}),
    "set_aside": lambda chosen, _: "",
    "node": _hex,
    "one_id": _hex,
}


if __name__ == "__main__":
    main()
