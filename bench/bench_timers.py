"""What a million open waits cost: memory of one, and how late what is due is decided while events flow.

In: orders that wait, then a steady flow of events, in frames as ingest writes them. Out: a JSON line on a run with few
waits (the baseline), one with all of them. Never: a broker, a store: the fold, and packing its commits, are measured.

    python -m bench.bench_timers [--timers 1000000] [--seconds 20] [--rate 20000]

A frame is folded when its time has come by the machine's clock, and each frame tells progress up to then. So
`due_to_decided_s` is from the instant of an order's deadline to the end of the fold that decided it: it holds the
linger of a frame, the fold, and the backlog where the fold can't keep up. On a busy machine compare `cpu_us_per_event`.
"""

from __future__ import annotations

import argparse
import gc
import os
import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import pyarrow as pa

from bench.measure import resident_mib, tell
from bench.verdict import percentile
from schemas.columns import EVENTS, IDS
from streams.engine import Engine, EngineConfig
from streams.journal.frame import Entry, Frame, Partition, Progress, RawRange, no_events, no_ids
from streams.journal.tables import Tables
from streams.worker.state.changelog import Commit, pack

ORDER, CONTROL = Partition("events.raw.order", 0), Partition("control", 0)
HOUR = 3_600_000
_FRAME_MS = 50
_FILL = 20_000
_STRIDE = 7_919
_EACH = 5
"""Open orders of each person."""
_VIEW = ("page_view", False)
_EVENTS = {0: ("order_submitted", True), 1: ("order_paid", True)}
"""Of twenty events one opens a wait, and one ends one that is not there."""
_RULE = """
rule: unpaid
version: 1
when:
  absence: { after: order_submitted, where: event.amount_fen >= 5000, of: order_paid, within: 1h, same: order_id }
send: { topic: triggers.coupon, expires_after: 24h, channels: [{ channel: sms, to: phone }] }
"""
_SOURCES = "sources: [{topic: events.raw.order, partition: 0, start: 0}]"


class Flow(NamedTuple):
    """So many events a second for so many seconds; `due` of the waits end in that time, spread evenly."""

    rate: int
    seconds: int
    due: int


def main() -> None:
    """The baseline, then the same flow over all waits."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--timers", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--rate", type=int, default=20_000)
    given = parser.parse_args()
    flow = Flow(given.rate, given.seconds, given.seconds * 100)
    for waits in (flow.due, given.timers):
        shard, memory = _Shard(), [_memory()]
        shard.known(waits // _EACH)
        memory.append(_memory())
        began = time.perf_counter()
        shard.fill(waits, flow)
        filled_s = time.perf_counter() - began
        memory.append(_memory())
        sizes = [(after - before) * (1 << 20) for before, after in pairwise(memory)]
        person, wait = sizes[0] * _EACH // waits, sizes[1] // waits
        tell("timers", waits=waits, **shard.run(flow), fill_s=filled_s, bytes_per_person=person, bytes_per_wait=wait)


def _memory() -> int:
    gc.collect()
    return resident_mib(os.getpid())


class _Shard:
    """One engine, and the frames that it takes."""

    def __init__(self) -> None:
        self._engine = Engine(0, EngineConfig(b"bench", dedup_window_ms=60_000), Tables())
        self._offset = 0
        self._raw = 0
        self._people = 1
        self._now_ms = 0
        texts = (("sources", "sources", _SOURCES), ("rules", "unpaid", _RULE))
        said = [{"control_id": kind, "tenant": "*", "kind": kind, "text": text} for kind, _, text in texts]
        entries = tuple(Entry(0, "control", 0, at, 0, record) for at, record in enumerate(said))
        self._step(Frame((RawRange(*CONTROL, 0, 2),), no_events(), no_ids(), entries))

    def _step(self, frame: Frame) -> list[int]:
        """Folds it, and packs what a commit would keep; the due times of what was decided."""
        output = self._engine.step(self._offset, frame)
        self._offset += 1
        pack(Commit(self._offset, self._engine.tables.take_changes()))
        return [one.record["due_time"] for one in output.public if one.subject == "decision"]

    def known(self, people: int) -> None:
        """So many people, by a page view each."""
        self._people = people
        for start in range(0, people, _FILL):
            numbers = range(start, min(people, start + _FILL))
            rows = [_row(*_VIEW, 10 * HOUR - 3, "") for _ in numbers]
            self._step(self._frame(rows, [_phone(n) for n in numbers], 10 * HOUR - 2))

    def fill(self, waits: int, flow: Flow) -> None:
        """So many open orders: `due` of them come due within the flow, all others after it."""
        self._now_ms = 10 * HOUR
        for start in range(0, waits, _FILL):
            numbers = range(start, min(waits, start + _FILL))
            rows = [_row("order_submitted", True, self._now_ms + _due(n, flow) - HOUR, f"w{n}") for n in numbers]
            self._step(self._frame(rows, [_phone(n % self._people) for n in numbers], self._now_ms - 1))

    def run(self, flow: Flow) -> dict[str, Any]:
        """Folds the flow at its pace; how late decisions were, and how long the fold worked."""
        frames = list(self._flowing(flow))
        gc.collect()
        gc.freeze()
        late_s: list[float] = []
        cpu_s, began = time.process_time(), time.perf_counter()
        for at_ms, frame in frames:
            wait_s = began + at_ms / 1_000 - time.perf_counter()
            if wait_s > 0:
                time.sleep(wait_s)
            due = self._step(frame)
            ended = time.perf_counter()
            late_s += [ended - began - (due_ms - self._now_ms) / 1_000 for due_ms in due]
        wall_s, cpu_s = time.perf_counter() - began, time.process_time() - cpu_s
        decided = {f"due_to_decided_s_p{p}": round(percentile(late_s, p / 100), 4) for p in (50, 99)}
        events = sum(frame.events.num_rows for _, frame in frames)
        cpu_us = cpu_s / events * 1e6
        return {
            "decided": len(late_s),
            **decided,
            "events_per_second": round(events / wall_s),
            "cpu_us_per_event": cpu_us,
        }

    def _flowing(self, flow: Flow) -> Iterator[tuple[int, Frame]]:
        """Frames with the millisecond of the run at which each has come; half of the events are of known people."""
        each = flow.rate * _FRAME_MS // 1_000
        for at_ms in range(_FRAME_MS, flow.seconds * 1_000 + 2 * _FRAME_MS, _FRAME_MS):
            now_ms = self._now_ms + at_ms
            numbers = range(self._raw, self._raw + each)
            rows = [_row(*_EVENTS.get(n % 20, _VIEW), now_ms - 1, f"o{n}") for n in numbers]
            yield at_ms, self._frame(rows, [_phone(n * _STRIDE % self._people) for n in numbers], now_ms)

    def _frame(self, rows: list[dict[str, Any]], phones: list[str], until_ms: int) -> Frame:
        start = self._raw
        self._raw += len(rows)
        for at, row in enumerate(rows):
            row |= {"source": 0, "raw_offset": start + at, "event_id": f"e{start + at}", "received_ms": until_ms - 1}
        ids = [{"row": at, "kind": "phone", "scope": "", "value": phone} for at, phone in enumerate(phones)]
        events, of_events = (pa.RecordBatch.from_pylist(made, schema=of) for made, of in ((rows, EVENTS), (ids, IDS)))
        progress = (Progress(*ORDER, self._raw, until_ms),)
        return Frame((RawRange(*ORDER, start, self._raw),), events, of_events, (), progress)


def _due(number: int, flow: Flow) -> int:
    """Milliseconds from the begin of the flow at which this wait ends."""
    long_ms = flow.seconds * 1_000
    return number * long_ms // flow.due if number < flow.due else long_ms + HOUR // 4 + number % (HOUR // 4)


def _phone(person: int) -> str:
    return f"+86139{person:08}"


def _row(kind: str, ordered: bool, time_ms: int, order: str) -> dict[str, Any]:
    texts = {"properties": "", "set_aside": "", "touchpoint": "app"}
    of_order = {"order_id": order, "amount_fen": 9_900} if ordered else {}
    return (
        dict.fromkeys(EVENTS.names) | texts | of_order | {"tenant": "t1", "event_type": kind, "event_time_ms": time_ms}
    )


if __name__ == "__main__":
    main()
