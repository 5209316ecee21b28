"""Recorded input for a backtest: JSON lines or a recorded journal, folded through fresh engines.

In: files. Out: outputs by shard, in journal order. Never: a line that is passed over in silence.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from schemas.codec import encode
from schemas.records import DeadLetter, Reason
from schemas.registry import LocalRegistry
from streams.backtest import Shards, journal_of, opening, settling, without_controls
from streams.cli.failure import Failure
from streams.cli.lines import BadLine, Line, parse_line
from streams.engine import Engine, EngineConfig, Outputs
from streams.identity.policy import MergePolicy
from streams.ingest.intake import Intake
from streams.ingest.record import RawRecord
from streams.ingest.validate import Limits
from streams.journal.frame import Partition, decode_frame
from streams.journal.recording import NoRecording, read
from streams.settings import Settings
from streams.topics import RAW
from streams.worker.config import engine_config

HOUR_MS = 3_600_000

Folded = Iterator[tuple[int, Outputs]]


class Recording:
    """The files of one backtest. Can be folded again and again."""

    def __init__(self, files: Sequence[Path], settings: Settings, tenants: Sequence[str], settle_hours: float) -> None:
        journals = [path for path in files if _is_recording(path)]
        if journals and len(files) > 1:
            raise Failure("a recorded journal is folded alone: name one file")
        self._files = files
        self._settings = settings
        self._tenants = tuple(tenants) or settings.tenants
        self._settle_ms = round(settle_hours * HOUR_MS)
        self._is_journal = bool(journals)
        self.engines: list[Engine] = []
        """Those of the last fold, as it left them."""

    def fold(
        self,
        rules: Mapping[str, str] | None,
        letter: Callable[[DeadLetter], None],
        policy: MergePolicy | None = None,
    ) -> Folded:
        """Outputs by shard; with a merge policy, that one for every tenant, whatever a journal says.

        Raises Failure for a file that can't be taken.
        """
        config = engine_config(self._settings)
        if policy is not None:
            config = replace(config, policy=policy)
        leave = frozenset({"rules"} if rules is not None else ()) | frozenset({"policy"} if policy is not None else ())
        return self._fold_journal(rules, config, leave) if self._is_journal else self._fold_lines(rules, config, letter)

    def _fold_journal(self, rules: Mapping[str, str] | None, config: EngineConfig, leave: frozenset[str]) -> Folded:
        shards = Shards(config, rules)
        try:
            with self._files[0].open("rb") as file:
                for shard, offset, packed in read(file)[1]:
                    yield shard, shards.step(shard, offset, without_controls(decode_frame(packed), leave))
                self.engines = list(shards.engines.values())
        except NoRecording as error:
            raise Failure(f"{self._files[0]}: {error}") from error

    def _fold_lines(
        self, rules: Mapping[str, str] | None, config: EngineConfig, letter: Callable[[DeadLetter], None]
    ) -> Folded:
        if rules is None:
            raise Failure("JSON lines have no rules of their own: name a folder with --rules")
        registry, shards = LocalRegistry(), Shards(config)
        members = [Partition(RAW + source, 0) for source in self._settings.sources]
        intake = Intake(registry, self._known_tenants(), Limits(), 1)
        records = _Records(self._files, registry.id_of("behaviour_event"), set(members), letter)
        first = next(records, None)
        if first is None:
            return
        begin = [*opening(rules, members, registry, first.time_ms), first]
        offset = 0
        for offset, batch in enumerate(journal_of(_chained(begin, records), members, intake)):
            yield 0, shards.step(0, offset, batch.frames[0])
        if self._settle_ms:
            yield 0, shards.step(0, offset + 1, settling(members, records.last_ms + self._settle_ms))
        self.engines = list(shards.engines.values())

    def _known_tenants(self) -> frozenset[str]:
        if self._tenants:
            return frozenset(self._tenants)
        return frozenset(line.event["tenant"] for path in self._files for line in _good_lines(path))


def _is_recording(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(1) not in (b"{", b"", b" ", b"\n")


def _chained(first: Sequence[RawRecord], then: Iterator[RawRecord]) -> Iterator[RawRecord]:
    yield from first
    yield from then


def _good_lines(path: Path) -> Iterator[Line]:
    with path.open(encoding="utf-8") as file:
        for text in file:
            try:
                yield parse_line(text)
            except BadLine:
                continue


class _Records:
    """The lines of the files as raw records; a line that can't be taken becomes a dead letter of stage `publish`."""

    def __init__(
        self, files: Sequence[Path], schema_id: int, members: set[Partition], letter: Callable[[DeadLetter], None]
    ) -> None:
        self._lines = ((path, number, text) for path in files for number, text in enumerate(path.open("rb"), 1))
        self._schema_id = schema_id
        self._members = members
        self._letter = letter
        self._offsets: Counter[Partition] = Counter()
        self.last_ms = 0

    def __iter__(self) -> Iterator[RawRecord]:
        return self

    def __next__(self) -> RawRecord:
        for path, number, text in self._lines:
            if not text.strip():
                continue
            try:
                return self._record(parse_line(text.decode()))
            except ValueError as error:  # a BadLine, or bytes that are no UTF-8
                self._letter(_bad_line(path, number, text, error))
        raise StopIteration

    def _record(self, line: Line) -> RawRecord:
        part = Partition(RAW + (line.source or line.event["touchpoint"]), 0)
        if part not in self._members:
            raise BadLine(f"no source is named {part.topic.removeprefix(RAW)}; settings.sources lists them")
        time_ms = line.event["event_time"] if line.received_ms is None else line.received_ms
        value = encode("behaviour_event", line.event, self._schema_id)
        offset = self._offsets[part]
        self._offsets[part] += 1
        self.last_ms = max(self.last_ms, time_ms)
        return RawRecord(*part, offset, time_ms, None, value)


def _bad_line(path: Path, number: int, text: bytes, error: Exception) -> DeadLetter:
    return DeadLetter(
        stage="publish",
        reason=Reason.UNDECODABLE,
        detail=f"line {number}: {error}",
        raw=text,
        raw_key=None,
        topic=path.name,
        partition=0,
        offset=number,
        schema_id=None,
        time=0,
    )
