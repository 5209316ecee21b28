"""What a lane asks of those who work its frames: the protocol `Work`, and the frames as they come.

In: nothing. Out: types. Never: a decision.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol


class Abandoned(Exception):
    """The batch was given up because the lane is to end: its frames are not acknowledged."""


class Item(NamedTuple):
    """One frame as it came: its offset in the partition, its bytes, and the Faust event to acknowledge, if any."""

    offset: int
    value: bytes
    event: Any


class Work(Protocol):
    """What a lane does with its frames. Called from one thread, `stop` excepted; may block."""

    @property
    def waits_for(self) -> str:
        """What outside of this process it waits for, as a part of a sentence; empty while it waits for nothing."""

    @property
    def pulse(self) -> int:
        """Changes while it gets on within a batch that takes long."""

    def open(self) -> int:
        """Gets ready; the number of the first frame that is wanted."""

    def number(self, item: Item) -> int:
        """The frame's number: they have no gaps, though offsets may."""

    def process(self, items: Sequence[Item]) -> None:
        """Works a batch; when it returns, the batch is safe. An exception ends the process."""

    def missed(self, wanted: int, last: Item) -> Iterator[Sequence[Item]]:
        """Batches of all frames from number `wanted` to `last`, read by ourselves."""

    def stop(self) -> None:
        """Asks what is under way to end soon, done or by raising `Abandoned`. Called from another thread."""

    def close(self) -> None:
        """Lets the next owner in. Whatever was not processed is not lost: it was not acknowledged."""
