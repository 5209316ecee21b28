"""Writes journal frames, and tells which cuts are safe, in their order.

In: what ingest made of a cut. Out: frames on the journal; the ranges of cuts that were acknowledged.
Never: a cut reported before every frame of it, and every cut before it, is acknowledged.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaError, Message, Producer

from streams.journal.frame import Frame, RawRange, encode_frame
from streams.topics import JOURNAL

_TIMEOUT_S = 30.0
_MOST_UNDER_WAY = 64


class NotJournaled(Exception):
    """The broker refused a frame: nothing was committed, the worker must start again."""


@dataclass(slots=True)
class _Cut:
    ranges: tuple[RawRange, ...]
    waiting: int

    def arrived(self) -> None:
        self.waiting -= 1


class Sender:
    """The producer of one ingest worker. One thread."""

    def __init__(self, config: dict[str, Any]) -> None:
        self._producer = Producer(config)
        self._under_way: deque[_Cut] = deque()
        self._failed: KafkaError | None = None

    def send(self, ranges: tuple[RawRange, ...], frames: Mapping[int, Frame]) -> None:
        """Sends the frames of one cut by shard; waits while too many cuts are under way."""
        cut = _Cut(ranges, len(frames))
        self._under_way.append(cut)
        for shard, frame in frames.items():
            self._produce(JOURNAL, encode_frame(frame), shard, cut)
        while len(self._under_way) > _MOST_UNDER_WAY and self._under_way[0].waiting:
            self._poll(0.05)

    def safe(self) -> list[RawRange]:
        """The ranges, each raw partition's last, of the cuts that became safe since the last call."""
        self._poll(0)
        return list({part.of: part for cut in self._finished() for part in cut.ranges}.values())

    def flush(self) -> None:
        """Waits until all is acknowledged.

        Raises:
            NotJournaled: something was not.
        """
        left = self._producer.flush(_TIMEOUT_S)
        self._poll(0)
        if left:
            raise NotJournaled(f"the broker did not take {left} records of the journal in {_TIMEOUT_S:.0f} s")

    def _finished(self) -> Iterator[_Cut]:
        while self._under_way and not self._under_way[0].waiting:
            yield self._under_way.popleft()

    def _produce(self, topic: str, value: bytes, partition: int, cut: _Cut) -> None:
        def delivered(error: KafkaError | None, message: Message) -> None:
            if error is None:
                cut.arrived()
            else:
                self._failed = error

        while True:
            try:
                self._producer.produce(topic, value, partition=partition, on_delivery=delivered)
                return
            except BufferError:
                self._poll(0.05)

    def _poll(self, wait_s: float) -> None:
        self._producer.poll(wait_s)
        if self._failed is not None:
            raise NotJournaled(self._failed.str())
