"""How a bench measures and tells: CPU and wall time of work, CPU of processes, one JSON object a line.

In: work to run, process ids. Out: figures on standard output. Never: a judgement of them.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

_TICKS = os.sysconf("SC_CLK_TCK")


def tell(bench: str, **figures: Any) -> None:
    """One line of JSON; floats rounded to what a shared machine can repeat."""
    rounded = {name: round(value, 2) if isinstance(value, float) else value for name, value in figures.items()}
    print(json.dumps({"bench": bench, **rounded}), flush=True)


def timed(work: Callable[[], object], events: int) -> dict[str, Any]:
    """Runs the work once: events a second, and CPU microseconds an event, of this process."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {"events": events, "events_per_second": round(events / wall), "cpu_us_per_event": cpu / events * 1e6}


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def machine_ticks() -> tuple[int, int]:
    """Ticks of all cores so far: those that the host gave to other machines, and all (Linux)."""
    ticks = [int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return ticks[7], sum(ticks)


def stolen_percent(since: tuple[int, int]) -> float:
    """The share of this machine's time, since then, in which it wanted to run and its host ran others."""
    (stolen, ticks), (before, then) = machine_ticks(), since
    return 100 * (stolen - before) / max(1, ticks - then)


def resident_mib(pid: int) -> int:
    """Memory of a process (Linux)."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // (1 << 20)
