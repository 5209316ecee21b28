"""The resolved frames of one shard from a journal offset on, from wherever they still are.

In: the topics of resolved frames and of the journal. Out: every frame once, in order, without a gap.
Never: a frame passed over in silence; a record of a transaction that was not committed; anything sent.

Resolved frames are read as the engine made them, as far back as their topic goes. What is older is folded again from
the journal's first offset on, by the same pure fold, which gives the same bytes; where both are there they are
compared, since a setting or a program that changed in between would give others.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice

from schemas.frames import Resolved, decode_resolved, encode_resolved
from streams.backtest import Shards
from streams.journal.frame import decode_frame
from streams.settings import Settings
from streams.topics import JOURNAL, RESOLVED
from streams.worker.clients import Record, read
from streams.worker.config import engine_config

_COMPARED = 200


class NotHeld(Exception):
    """The log does not have what is asked for any more, or never had it; the message is a sentence."""


@dataclass(frozen=True, slots=True)
class Held:
    """What the broker still has of a shard.

    `resolved`: the journal offset of the first resolved frame, None where there is no frame, and `since_ms` the time of
    its record. `whole`: the journal is there from its very first frame on.
    """

    shard: int
    resolved: int | None
    whole: bool
    since_ms: int = 0

    def source(self, start: int) -> str:
        """The topic from which frames from this journal offset on come. Raises NotHeld."""
        if self.resolved is not None and self.resolved <= start:
            return RESOLVED
        if self.whole:
            return JOURNAL
        begins = "nothing"
        if self.resolved is not None:
            begins = f"nothing before journal offset {self.resolved}, of {time_text(self.since_ms)}"
        raise NotHeld(
            f"shard {self.shard} can't be replayed from journal offset {start}: {RESOLVED} holds {begins}, and"
            f" {JOURNAL} not its first frames, from which it could be folded again"
        )

    @property
    def oldest(self) -> int | None:
        """The first journal offset that can be replayed; None where nothing can."""
        return 0 if self.whole else self.resolved


def held(settings: Settings, shard: int, resolved_first: int, journal_first: int) -> Held:
    """What is held of a shard; `..._first`: the first offsets that the broker has. Raises BrokerUnavailable."""
    first = next(read(settings, RESOLVED, {shard: resolved_first}), None)
    if first is None:
        return Held(shard, None, journal_first == 0)
    return Held(shard, decode_resolved(first.value).journal_offset, journal_first == 0, first.time_ms)


def time_text(time_ms: int) -> str:
    """To the second, in UTC."""
    return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="seconds")


class ShardLog:
    """The frames from `start` on: `frames` gives those that are there now, and called again those that came since."""

    def __init__(self, settings: Settings, has: Held, start: int, resolved_first: int) -> None:
        self._resolved = _Resolved(settings, has.shard, start, resolved_first)
        self._fold: _Fold | None = None
        if has.source(start) == JOURNAL:
            self._fold = _Fold(settings, has.shard)
            self._resolved.wanted = has.resolved if has.resolved is not None else -1
        self._start = start

    def frames(self) -> Iterator[Resolved]:
        """Raises NotHeld where a frame is missing, or the fold makes others than the engine did; BrokerUnavailable."""
        if self._fold is not None:
            yield from self._folded(self._fold)
        if self._resolved.wanted >= 0:
            self._fold = None
            yield from self._resolved.frames()

    def _folded(self, fold: _Fold) -> Iterator[Resolved]:
        """Those that only the journal has; the first ones of the others are folded too, to be compared."""
        for frame in fold.frames(self._resolved.wanted):
            if frame.journal_offset >= self._start:
                yield frame
        if self._resolved.wanted >= 0:
            self._compare(fold)

    def _compare(self, fold: _Fold) -> None:
        made = [encode_resolved(frame) for frame in islice(self._resolved.peeked(), _COMPARED)]
        again = fold.frames(self._resolved.wanted + len(made))
        for was, frame in zip(made, again, strict=False):
            if encode_resolved(frame) != was:
                raise NotHeld(
                    f"the journal folded again makes another frame {frame.journal_offset} of shard {frame.shard} than"
                    " the engine made: the salt, sources, triggers, dedup window or the program were others then"
                )


class _Resolved:
    """Frames of the topic of resolved frames; `wanted` is the next journal offset, -1 where the topic has none."""

    def __init__(self, settings: Settings, shard: int, wanted: int, first: int) -> None:
        self._settings = settings
        self._shard = shard
        self._next = first
        self.wanted = wanted

    def frames(self) -> Iterator[Resolved]:
        for record in self._records():
            frame = decode_resolved(record.value)
            if frame.journal_offset > self.wanted:
                raise NotHeld(f"{RESOLVED}/{self._shard} lacks the frame of journal offset {self.wanted}")
            self._next = record.offset + 1
            if frame.journal_offset == self.wanted:
                self.wanted += 1
                yield frame

    def peeked(self) -> Iterator[Resolved]:
        """The same frames, to be read again."""
        return _Resolved(self._settings, self._shard, self.wanted, self._next).frames()

    def _records(self) -> Iterator[Record]:
        self._come_near()
        return read(self._settings, RESOLVED, {self._shard: self._next})

    def _come_near(self) -> None:
        """Passes over what lies before the wanted frame: each frame takes an offset at least, so no jump is too far."""
        while (first := next(read(self._settings, RESOLVED, {self._shard: self._next}), None)) is not None:
            missing = self.wanted - decode_resolved(first.value).journal_offset
            if missing <= 0:
                return
            self._next = first.offset + missing


class _Fold:
    """The shard's journal folded from its first frame on."""

    def __init__(self, settings: Settings, shard: int) -> None:
        self._settings = settings
        self._shard = shard
        self._engines = Shards(engine_config(settings))
        self._next = 0

    def frames(self, end: int) -> Iterator[Resolved]:
        """Up to this journal offset; to the journal's end where it is negative."""
        if 0 <= end <= self._next:
            return
        for record in read(self._settings, JOURNAL, {self._shard: self._next}):
            if record.offset != self._next:
                raise NotHeld(f"{JOURNAL}/{self._shard} lacks offset {self._next}")
            self._next += 1
            yield self._engines.step(self._shard, record.offset, decode_frame(record.value)).resolved
            if self._next == end:
                return
