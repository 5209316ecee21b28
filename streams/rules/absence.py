"""A happened, then no B within T, by the same business key: one instance a key, and what follows for it.

In: an instance and an event or a due timer. Out: the instance after it, and the effect. Never: state, a clock.

The first A (by event time) of an open instance anchors it. B prevents wherever it stands, also before A; at exactly
A + T it is in time. Once an instance is decided its key is done: a B that comes later shows either that the trigger
should not have been (it happened in time) or that it worked (a conversion), which is for whoever sent it to say.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple


class Stage(StrEnum):
    """Where an instance stands: waiting, given to delivery, or done without a match."""

    OPEN = "open"
    MATCHED = "matched"
    DONE = "done"


class Seen(NamedTuple):
    """An event as far as the rule needs it: `nodes` are the usable ids that it carried, the strongest first."""

    event_id: str
    event_time_ms: int
    nodes: tuple[str, ...]


class Verdict(StrEnum):
    """What a due timer means, or a later look at a match that delivery has not sent yet."""

    MATCHED = "matched"
    PREVENTED = "prevented"
    LATE = "late"


@dataclass(frozen=True, slots=True)
class Instance:
    """One business key under one rule: its anchor A, the earliest B so far, where it stands, and A + T (0: no A)."""

    anchor: Seen | None = None
    ended: Seen | None = None
    stage: Stage = Stage.OPEN
    due_ms: int = 0

    def began(self, event: Seen, within_ms: int) -> Instance:
        """After an A: the earliest anchors, the first in the journal where two are equal."""
        if self.stage is not Stage.OPEN or _before(self.anchor, event):
            return self
        return replace(self, anchor=event, due_ms=event.event_time_ms + within_ms)

    def end(self, event: Seen) -> Instance:
        """After a B: the earliest is kept."""
        return self if _before(self.ended, event) else replace(self, ended=event)

    def in_time(self, event: Seen) -> bool:
        """Whether a B happened by A + T."""
        return event.event_time_ms <= self.due_ms

    @property
    def waiting(self) -> bool:
        """Whether it has an A and is not decided yet."""
        return self.anchor is not None and self.stage is Stage.OPEN

    def ripe(self) -> Verdict:
        """What a waiting instance's due timer means: matched, prevented in time, or ended too late."""
        if self.ended is None:
            return Verdict.MATCHED
        return Verdict.PREVENTED if self.in_time(self.ended) else Verdict.LATE

    def decided(self, matched: bool) -> Instance:
        """After its timer: the key is done, also where delivery has the match now."""
        return replace(self, stage=Stage.MATCHED if matched else Stage.DONE)


def _before(seen: Seen | None, event: Seen) -> bool:
    return seen is not None and seen.event_time_ms <= event.event_time_ms


Row = tuple[tuple[str, int, tuple[str, ...]] | None, tuple[str, int, tuple[str, ...]] | None, str, int]


def to_row(instance: Instance) -> Row:
    """The instance as a table row."""
    return instance.anchor, instance.ended, instance.stage.value, instance.due_ms


def from_row(row: Row) -> Instance:
    """The instance of a table row."""
    anchor, ended, stage, due_ms = row
    return Instance(anchor and Seen(*anchor), ended and Seen(*ended), Stage(stage), due_ms)
