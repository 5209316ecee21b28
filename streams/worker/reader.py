"""Reads the raw partitions that Kafka gives to this ingest worker, and knows when one is at its end.

In: settings. Out: raw records in partition order, idle news, commits. Never: an offset committed by itself.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.admin import OffsetSpec  # type: ignore[attr-defined]  # re-exported without saying so

from streams.ingest.record import OFFSET_OF, PARTITION_OF, RawRecord
from streams.journal.frame import Partition, RawRange
from streams.settings import Settings
from streams.topics import HEARTBEAT, raw_topics
from streams.worker.clients import admin, consumer_config

log = logging.getLogger(__name__)

GROUP = "siyu-ingest"
_TIMEOUT_S = 10.0
_LATEST: Any = OffsetSpec.latest()  # type: ignore[no-untyped-call]
_TRIES = 5
_AGAIN_S = 0.5
T = TypeVar("T")


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
        self._uncommitted: dict[Partition, int] = {}
        self._settings = settings
        self.is_member = False
        """Whether it was told its partitions, be it none."""
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
        for part, offset in dict(zip(map(PARTITION_OF, records), map(OFFSET_OF, records), strict=True)).items():
            self._next[Partition(*part)] = offset + 1
        return records

    def ends(self, quiet: Iterable[Partition]) -> dict[Partition, int]:
        """The end offsets of those of the partitions of which everything has been read; none that can't be asked."""
        asked = {TopicPartition(*part): _LATEST for part in quiet if part in self._next}
        if not asked:
            return {}
        told = self._told(self._admin.list_offsets(asked, request_timeout=_TIMEOUT_S))
        ends = {part: max(end, self._fetched_end(part)) for part, end in told.items()}
        return {part: end for part, end in ends.items() if self._position(part) >= end}

    def _told(self, answers: Mapping[TopicPartition, Future[Any]]) -> dict[Partition, int]:
        failed = [error for answer in answers.values() if (error := answer.exception()) is not None]
        if failed:
            log.warning("%d ends of partitions were not told: %s", len(failed), failed[0])
            self._admin = admin(self._settings.kafka)  # the old one keeps to the leaders of before a restart
        told = {tp: answer.result() for tp, answer in answers.items() if answer.exception() is None}
        return {Partition(tp.topic, tp.partition): answer.offset for tp, answer in told.items()}

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
        """Commits that everything below the end of each range is in the journal; where it can't, the next call does.

        The offset is a hint: what is read again, the engine knows. So no broker that is away ends us here.
        """
        self._uncommitted |= {part.of: part.end for part in ranges if part.of in self._next}
        if not self._uncommitted:
            return
        try:
            self._consumer.commit(
                offsets=[TopicPartition(*part, end) for part, end in self._uncommitted.items()], asynchronous=False
            )
            self._uncommitted.clear()
        except KafkaException as error:
            if error.args[0].fatal():
                raise
            log.warning("raw offsets are not committed yet: %s", error.args[0].str())

    def close(self) -> None:
        """Leaves the group."""
        self._consumer.close()

    def _assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self.is_member = True
        for tp in _again(lambda: consumer.committed(partitions, timeout=_TIMEOUT_S)):
            part, offset = Partition(tp.topic, tp.partition), self._start(consumer, tp)
            self._next[part] = offset
            self._listener.assigned(part, offset)
        consumer.assign([TopicPartition(*part, offset) for part, offset in self._next.items()])

    def _start(self, consumer: Consumer, committed: TopicPartition) -> int:
        if committed.error is not None:
            raise KafkaException(committed.error)
        first: int = _again(lambda: consumer.get_watermark_offsets(committed, timeout=_TIMEOUT_S))[0]
        if 0 <= committed.offset < first:
            lost, name = first - committed.offset, f"{committed.topic}/{committed.partition}"
            log.error("%d records of %s are gone from Kafka before they were read: they are LOST", lost, name)
        return max(committed.offset, first)

    def _revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        gone = [Partition(tp.topic, tp.partition) for tp in partitions]
        self._listener.revoked(gone)
        for part in gone:
            self._next.pop(part, None)
            self._uncommitted.pop(part, None)
        self._paused -= set(gone)


_REFUSED = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError._AUTHENTICATION,
}


def _again(ask: Callable[[], T]) -> T:
    """The answer, asked for anew while a broker or a coordinator moves."""
    for left in reversed(range(_TRIES)):
        try:
            return ask()
        except KafkaException as error:
            if error.args[0].fatal() or error.args[0].code() in _REFUSED or not left:
                raise
            log.warning("asks Kafka again: %s", error.args[0].str())
            time.sleep(_AGAIN_S)
    raise AssertionError("the last try answers or raises")


def _is_data(message: Message) -> bool:
    error = message.error()
    if error is None:
        return True
    if error.fatal() or error.code() in _REFUSED:
        raise KafkaException(error)
    log.warning("%s can't be read yet: %s", message.topic(), error.str())
    return False


def _record(message: Any) -> RawRecord:
    # Runs once a record: nothing is asked of the message that is not needed.
    value = message.value()
    heartbeat = value is None and any(name == HEARTBEAT for name, _ in message.headers() or ())
    time_ms = message.timestamp()[1]
    if time_ms <= 0:
        time_ms = int(time.time() * 1000)
    return RawRecord(message.topic(), message.partition(), message.offset(), time_ms, message.key(), value, heartbeat)
