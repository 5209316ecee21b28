"""How much a lane takes in: when its batches close, and when the fetching of its partition stops.

In: the lane's own numbers. Out: limits; a protocol for what fetches. Never: a wait.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class Flow(Protocol):
    """What brings frames of one partition."""

    def hold(self) -> None:
        """Fetches no more; what is fetched already still comes. May be said again."""

    def go(self) -> None:
        """Fetches again, if it was held. May be said again."""


class Freely:
    """A flow that can't be held."""

    def hold(self) -> None:
        """See `Flow`."""

    def go(self) -> None:
        """See `Flow`."""


@dataclass(frozen=True, slots=True)
class Batching:
    """A batch closes `wait_s` after its first frame, or when it has `max_bytes`.

    A worker with many lanes waits longer, `lane_s` for each: commits cost by their number (docs/decisions/0002).
    All lanes of a worker together hold about `held_bytes` of frames that are not in a batch yet.
    """

    wait_s: float
    max_bytes: int
    lane_s: float = 0.0
    held_bytes: int = 128 << 20

    def wait_of(self, lanes: int) -> float:
        """Seconds that a batch stays open on a worker with so many lanes."""
        return max(self.wait_s, lanes * self.lane_s)

    def held_of(self, lanes: int) -> int:
        """Bytes that one of so many lanes may hold before it asks for no more."""
        return self.held_bytes // max(1, lanes)
