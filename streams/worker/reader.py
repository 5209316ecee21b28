"""Reads the raw partitions that Kafka gives to this ingest worker, and knows when one is at its end.

In: settings. Out: raw records in partition order, idle news, commits. Never: an offset committed by itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.admin import OffsetSpec

from streams.ingest.record import RawRecord
from streams.journal.frame import Partition, RawRange
from streams.settings import Settings
from streams.topics import HEARTBEAT, raw_topics
from streams.worker.clients import admin, consumer_config

GROUP = "siyu-ingest"
_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Listener:
    """Told when partitions come (with the offset to read from) and before they go."""

    assigned: Callable[[Partition, int], None]
    revoked: Callable[[list[Partition]], None]


class Reader:
    """A consumer of the raw topics. One thread."""

    def __init__(self, settings: Settings, listener: Listener) -> None:
        self._listener = listener
        self._next: dict[Partition, int] = {}
        self._paused: set[Partition] = set()
        self._admin = admin(settings.kafka)
        # No look behind the transactions of producers: what an aborted one wrote was never said.
        self._consumer = Consumer(consumer_config(settings.kafka, GROUP))
        self._consumer.subscribe(raw_topics(settings), on_assign=self._assign, on_revoke=self._revoke)

    def read(self, most: int, wait_s: float) -> list[RawRecord]:
        """What came, at most `most` records, after at most `wait_s`.

        Raises:
            KafkaException: the broker refuses us for good.
        """
        records = [_record(message) for message in self._consumer.consume(most, wait_s) if _is_data(message)]
        for record in records:
            self._next[record.of] = record.offset + 1
        return records

    def ends(self, quiet: Iterable[Partition]) -> dict[Partition, int]:
        """The end offsets of those of the partitions of which everything has been read."""
        asked = {TopicPartition(*part): OffsetSpec.latest() for part in quiet if part in self._next}
        if not asked:
            return {}
        answers = self._admin.list_offsets(asked, request_timeout=_TIMEOUT_S)
        ends = {Partition(tp.topic, tp.partition): answer.result().offset for tp, answer in answers.items()}
        return {part: end for part, end in ends.items() if self._position(part) >= max(end, self._fetched_end(part))}

    def _position(self, part: Partition) -> int:
        # Behind transaction markers and compacted records the position is past the last record that was read.
        position = self._consumer.position([TopicPartition(*part)])[0].offset
        return max(position, self._next[part])

    def _fetched_end(self, part: Partition) -> int:
        """The end as the last fetch told it: the embedded broker's answer to list_offsets may be too low."""
        return int(self._consumer.get_watermark_offsets(TopicPartition(*part), cached=True)[1])

    def lag(self) -> dict[Partition, int]:
        """Records that are there and not read, by partition, as of the last fetch."""
        return {part: max(0, self._fetched_end(part) - offset) for part, offset in self._next.items()}

    def pause(self, wanted: set[Partition]) -> None:
        """Stops reading these partitions, and reads on those that no longer are among them."""
        mine = wanted & set(self._next)
        self._consumer.pause([TopicPartition(*part) for part in mine - self._paused])
        self._consumer.resume([TopicPartition(*part) for part in (self._paused - mine) & set(self._next)])
        self._paused = mine

    def commit(self, ranges: Iterable[RawRange]) -> None:
        """Commits that everything below the end of each range is in the journal."""
        offsets = [TopicPartition(part.topic, part.partition, part.end) for part in ranges if part.of in self._next]
        try:
            if offsets:
                self._consumer.commit(offsets=offsets, asynchronous=False)
        except KafkaException as error:
            if error.args[0].code() not in _REBALANCING:
                raise

    def close(self) -> None:
        """Leaves the group."""
        self._consumer.close()

    def _assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        for tp in consumer.committed(partitions, timeout=_TIMEOUT_S):
            if tp.offset < 0:
                tp.offset = consumer.get_watermark_offsets(tp, timeout=_TIMEOUT_S)[0]
            part = Partition(tp.topic, tp.partition)
            self._next[part] = tp.offset
            self._listener.assigned(part, tp.offset)
        consumer.assign([TopicPartition(*part, offset) for part, offset in self._next.items()])

    def _revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        gone = [Partition(tp.topic, tp.partition) for tp in partitions]
        self._listener.revoked(gone)
        for part in gone:
            self._next.pop(part, None)
        self._paused -= set(gone)


_REBALANCING = {KafkaError.REBALANCE_IN_PROGRESS, KafkaError.ILLEGAL_GENERATION, KafkaError.UNKNOWN_MEMBER_ID}


def _is_data(message: Message) -> bool:
    error = message.error()
    if error is not None and error.fatal():
        raise KafkaException(error)
    return error is None


def _record(message: Message) -> RawRecord:
    value = message.value()
    heartbeat = value is None and any(name == HEARTBEAT for name, _ in message.headers() or ())
    time_ms = message.timestamp()[1]
    return RawRecord(
        message.topic() or "",
        message.partition() or 0,
        message.offset() or 0,
        time_ms if time_ms > 0 else int(time.time() * 1000),
        _bytes(message.key()),
        _bytes(value),
        heartbeat,
    )


def _bytes(value: str | bytes | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value
