"""Where a backtest's outputs go: JSON lines by kind, a database, and counts.

In: outputs of the fold, dead letters. Out: files in a folder. Never: a broker.
"""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self, TextIO

from schemas.frames import Resolved
from streams.engine import Outputs

FILES = {
    "trigger": "triggers.jsonl",
    "trigger_revoked": "revoked.jsonl",
    "decision": "decisions.jsonl",
    "identity_change": "identity.jsonl",
    "dead_letter": "deadletters.jsonl",
}
_FRAMES_A_WRITE = 16


class Results:
    """Open files and, if `stored`, a database in `out/chdb`."""

    def __init__(self, out: Path, *, stored: bool) -> None:
        self._out = out
        self._stored = stored
        self._stack = ExitStack()
        self._files: dict[str, TextIO] = {}
        self._writers: dict[int, Any] = {}
        self._waiting: dict[int, list[Resolved]] = {}
        self._counts: Counter[str] = Counter()
        self._reasons: dict[str, Counter[str]] = {"deadletters": Counter(), "decisions": Counter()}

    def __enter__(self) -> Self:
        for subject, name in FILES.items():
            self._files[subject] = self._stack.enter_context((self._out / name).open("w", encoding="utf-8"))
        if self._stored:
            self._open_database()
        return self

    def _open_database(self) -> None:
        from sinks.embedded import EmbeddedSink  # noqa: PLC0415 loading chDB takes a second
        from sinks.migrations import runner  # noqa: PLC0415

        self._database = EmbeddedSink(self._out / "chdb")
        self._stack.callback(self._database.close)
        runner.apply(self._database)

    def __exit__(self, *_: object) -> None:
        try:
            for shard in list(self._waiting):
                self._write(shard)
        finally:
            self._stack.close()

    def take(self, shard: int, outputs: Outputs) -> None:
        """Writes what came of one frame."""
        self._counts.update(outputs.counts)
        for topic, _, subject, record in outputs.public:
            if subject == "dead_letter":
                self.dead_letter(record)
            else:
                self._line(subject, {"topic": topic, **record} if subject == "trigger" else record)
            if subject == "decision":
                self._reasons["decisions"][f"{record['verdict']}:{record['reason']}"] += 1
        if self._stored:
            waiting = self._waiting.setdefault(shard, [])
            waiting.append(outputs.resolved)
            if len(waiting) >= _FRAMES_A_WRITE:
                self._write(shard)

    def dead_letter(self, letter: Mapping[str, Any]) -> None:
        """Writes a refused record; its bytes as base64."""
        raw = base64.b64encode(letter["raw"]).decode()
        key = letter["raw_key"] and base64.b64encode(letter["raw_key"]).decode()
        self._line("dead_letter", {**letter, "raw": raw, "raw_key": key})
        self._reasons["deadletters"][letter["reason"]] += 1

    def _line(self, subject: str, record: Mapping[str, Any]) -> None:
        self._files[subject].write(json.dumps(record, ensure_ascii=False) + "\n")
        self._counts[FILES[subject].removesuffix(".jsonl")] += 1

    def _write(self, shard: int) -> None:
        from sinks.writer import BlockWriter  # noqa: PLC0415

        if shard not in self._writers:
            self._writers[shard] = BlockWriter(self._database, shard)
        self._writers[shard].write(self._waiting.pop(shard))

    def summary(self) -> dict[str, Any]:
        """Counts of events by outcome, of records by kind, and of reasons."""
        events = {name: self._counts[name] for name in ("accepted", "duplicate")}
        kinds = {name: self._counts[name] for name in (file.removesuffix(".jsonl") for file in FILES.values())}
        reasons = {name: dict(sorted(counts.items())) for name, counts in self._reasons.items()}
        return {"events": events, **kinds, "reasons": reasons}
