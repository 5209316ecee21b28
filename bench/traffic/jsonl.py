"""Traffic as JSON lines, for readers that take events from a file.

In: a `Traffic`. Out: one event per line in order of receipt, with `received_ms` and `source` beside its fields.
Never: heartbeats, or events whose fault is in their bytes (a line of JSON can't show it).
"""

import json
from collections.abc import Iterable
from pathlib import Path

from bench.traffic.spec import TOPIC_PREFIX, Sent


def write_jsonl(traffic: Iterable[Sent], path: str | Path) -> int:
    """Writes the file anew and returns the number of its lines."""
    lines = 0
    with Path(path).open("w", encoding="utf-8") as file:
        for sent in traffic:
            if sent.event is not None and not sent.fault:
                file.write(_line(sent))
                lines += 1
    return lines


def _line(sent: Sent) -> str:
    """One event on one line, Chinese as it is."""
    extra = {"received_ms": sent.received_ms, "source": sent.topic.removeprefix(TOPIC_PREFIX)}
    return json.dumps((sent.event or {}) | extra, ensure_ascii=False, separators=(",", ":")) + "\n"
