"""Plays traffic into the raw topics: records as Avro, bad ones as bytes, heartbeats, all at simulated receive time.

In: `Sent` records of a traffic plan, a pace. Out: Kafka records whose timestamp is the simulated receive time.
Never: a record of its own invention; a look at the truth.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import islice

from confluent_kafka import KafkaError, Message, Producer

from bench.traffic import HEARTBEAT, Sent
from schemas.codec import encode
from schemas.registry import Registry
from streams.topics import ENTRY_SUBJECTS
from streams.topics import HEARTBEAT as HEARTBEAT_HEADER

_CHUNK = 500
_UNKNOWN_SCHEMA = 9_999_999


class NotPlayed(Exception):
    """The broker refused a record of the traffic."""


@dataclass(slots=True)
class Played:
    """How far the play is. `records_of_events`: events and heartbeats of topics that carry events.

    `clock`: (simulated ms, wall seconds, records) as of each chunk handed to Kafka."""

    records: int = 0
    events: int = 0
    records_of_events: int = 0
    last_ms: int = 0
    clock: list[tuple[int, float, int]] = field(default_factory=list)

    def wall_at(self, simulated_ms: int) -> float:
        """The wall time at which everything received before this simulated instant had been handed to Kafka."""
        at = bisect_left(self.clock, (simulated_ms, 0.0, 0))
        return self.clock[min(at, len(self.clock) - 1)][1]

    def records_at(self, simulated_ms: int) -> int:
        """The records of the chunks that were received before this simulated instant."""
        at = bisect_left(self.clock, (simulated_ms + 1, 0.0, 0))
        return self.clock[at - 1][2] if at else 0


class Player:
    """Produces traffic at `per_second` records (0: as fast as it goes)."""

    def __init__(self, config: dict[str, object], registry: Registry, per_second: float = 0) -> None:
        self._producer = Producer(config)
        self._registry = registry
        self._schema_id = registry.id_of("behaviour_event")
        self._per_second = per_second
        self._failed: KafkaError | None = None
        self.played = Played()

    def play(self, traffic: Iterable[Sent], told: Callable[[Played], None] = lambda played: None) -> Played:
        """Plays all of it and waits until the broker has it; `told` is called after each chunk.

        Raises:
            NotPlayed: the broker refused a record.
        """
        began = time.monotonic()
        records = iter(traffic)
        while chunk := list(islice(records, _CHUNK)):
            for sent in chunk:
                self._send(sent)
            self._keep_pace(began)
            self.played.clock.append((chunk[-1].received_ms, time.time(), self.played.records))
            told(self.played)
        self._producer.flush(60)
        self._check()
        return self.played

    def _keep_pace(self, began: float) -> None:
        self._producer.poll(0)
        self._check()
        ahead = self.played.records / self._per_second - (time.monotonic() - began) if self._per_second else 0
        if ahead > 0:
            self._producer.flush(ahead)
            time.sleep(max(0.0, self.played.records / self._per_second - (time.monotonic() - began)))

    def _send(self, sent: Sent) -> None:
        if sent.fault == HEARTBEAT:
            self._produce(sent.topic, sent.partition, None, sent.received_ms, [(HEARTBEAT_HEADER, b"")])
        else:
            self._produce(sent.topic, sent.partition, self._encoded(sent), sent.received_ms, [])
            self.played.events += sent.topic not in ENTRY_SUBJECTS
        self.played.records += 1
        self.played.records_of_events += sent.topic not in ENTRY_SUBJECTS
        self.played.last_ms = sent.received_ms

    def _encoded(self, sent: Sent) -> bytes:
        subject = ENTRY_SUBJECTS.get(sent.topic)
        if subject is None or sent.event is None:
            return encoded(sent, self._schema_id)
        return encode(subject, sent.event, self._registry.id_of(subject))

    def _produce(
        self,
        topic: str,
        partition: int,
        value: bytes | None,
        time_ms: int,
        headers: list[tuple[str, str | bytes | None]],
    ) -> None:
        while True:
            try:
                self._producer.produce(
                    topic, value, partition=partition, timestamp=time_ms, headers=headers, on_delivery=self._delivered
                )
                return
            except BufferError:
                self._producer.poll(0.1)

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self._failed = error

    def _check(self) -> None:
        if self._failed is not None:
            raise NotPlayed(f"the broker refused a record: {self._failed.str()}")


def encoded(sent: Sent, schema_id: int) -> bytes:
    """The event as a producer would write it, then spoilt as its fault says."""
    return b"" if sent.event is None else _spoilt(encode("behaviour_event", sent.event, schema_id), sent.fault)


def _spoilt(value: bytes, fault: str) -> bytes:
    if fault == "":
        return value
    if fault == "wrong_magic":
        return b"\x07" + value[1:]
    if fault == "unknown_schema_id":
        return value[:1] + _UNKNOWN_SCHEMA.to_bytes(4, "big") + value[5:]
    return value[: len(value) // 2] if fault == "truncated" else b""


def with_entry_heartbeats(traffic: Iterable[Sent]) -> Iterable[Sent]:
    """The traffic, and at each of its heartbeat instants one more for the topics that carry no events."""
    told_ms = -1
    for sent in traffic:
        if sent.fault == HEARTBEAT and sent.received_ms != told_ms:
            told_ms = sent.received_ms
            for topic in ENTRY_SUBJECTS:
                yield Sent(told_ms, topic, 0, None, HEARTBEAT)
        yield sent
