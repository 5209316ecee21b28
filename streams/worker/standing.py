"""Where a worker stands with each partition that it owns, for those who watch it from outside.

In: nothing. Out: the words in which lanes and ingest tell it. Never: a call that waits.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple, Protocol

from streams.journal.frame import Partition


class State(StrEnum):
    """What a worker does with a partition."""

    OPENING = "opening"
    WORKING = "working"
    WAITING = "waiting"
    HALTED = "halted"


class Standing(NamedTuple):
    """One partition: `offset` after what is safe (-1: not known here), `why` it waits or was halted.

    `pulse` changes as it gets on with what is not safe yet; `since_s` is when it came to us, in monotonic seconds.
    """

    state: State
    offset: int = -1
    pulse: int = 0
    why: str = ""
    since_s: float = 0.0


class Watched(Protocol):
    """A running role. Called from other threads, at any time."""

    group: str
    """Its consumer group: the offsets that are committed there are safe."""

    def standings(self) -> Mapping[Partition, Standing] | None:
        """Where each partition that it owns stands; None while it waits to be told which they are."""

    def turned_s(self) -> float:
        """When its loop last went round, in monotonic seconds; 0 before the first time."""

    def lost(self) -> str:
        """Why nobody tells it its partitions any more, however long it waits; "" while somebody does."""
