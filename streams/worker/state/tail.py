"""The changelog of one shard as it is read: where it begins and ends, and its records.

In: a consumer, the partition. Out: offsets, record values; a changelog that begins later.
Never: a record of a transaction that was not committed; an end that a new leader did not know of yet.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import NamedTuple, Protocol

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from streams.settings import Settings
from streams.topics import CHANGELOG
from streams.worker.clients import BrokerUnavailable, admin, sentence
from streams.worker.work import Abandoned

_ANSWER_WITHIN_S = 30.0
_POLL_S = 0.2


class ChangelogUnavailable(Exception):
    """The changelog could not be read to its end."""


class Bounds(NamedTuple):
    """The first offset that is there, and the one after the last; what lies below `first` was deleted."""

    first: int
    end: int


class Changelog(Protocol):
    """One shard's changelog. Its errors are ChangelogUnavailable and Abandoned."""

    @property
    def name(self) -> str:
        """How to call it to an operator."""

    def bounds(self) -> Bounds:
        """Where it begins and ends now."""

    def records(self, start: int, end: int) -> Iterator[tuple[int, bytes]]:
        """Offset and value of what is committed, from `start` to the end, which is at `end` at least."""


class KafkaChangelog:
    """`consumer` reads committed records only, and reports partition ends; `stopping` makes reading raise Abandoned."""

    def __init__(self, consumer: Consumer, partition: TopicPartition, stopping: threading.Event) -> None:
        self._consumer = consumer
        self._partition = partition
        self._stopping = stopping

    @property
    def name(self) -> str:
        """See `Changelog`."""
        return f"{self._partition.topic}/{self._partition.partition}"

    def bounds(self) -> Bounds:
        """See `Changelog`."""
        try:
            first, end = self._consumer.get_watermark_offsets(self._partition, timeout=_ANSWER_WITHIN_S)
        except KafkaException as error:
            raise ChangelogUnavailable(f"{self.name}: {sentence(error.args[0])}") from error
        return Bounds(first, max(first, end))

    def records(self, start: int, end: int) -> Iterator[tuple[int, bytes]]:
        """See `Changelog`."""
        self._consumer.assign([TopicPartition(self._partition.topic, self._partition.partition, start)])
        heard = time.monotonic()
        while True:
            if self._stopping.is_set():
                raise Abandoned
            message = self._consumer.poll(_POLL_S)
            if message is not None and message.error() is None:
                yield message.offset() or 0, message.value() or b""
            elif message is not None and self._is_end(message):
                if (message.offset() or 0) >= end:
                    return
            elif time.monotonic() - heard > _ANSWER_WITHIN_S:
                raise ChangelogUnavailable(f"no answer while reading {self.name}")
            else:
                continue
            heard = time.monotonic()

    def _is_end(self, message: Message) -> bool:
        error = message.error()
        if error is not None and error.code() != KafkaError._PARTITION_EOF and not error.retriable():
            raise ChangelogUnavailable(f"{self.name}: {sentence(error)}")
        return error is not None and error.code() == KafkaError._PARTITION_EOF


def delete_below(settings: Settings, shard: int, offset: int) -> None:
    """Deletes what the shard's changelog has below this offset. Raises BrokerUnavailable, also where it can't."""
    partition = TopicPartition(CHANGELOG, shard, offset)
    client = admin(settings.kafka)  # held, since nobody answers once it is gone
    try:
        client.delete_records([partition], request_timeout=_ANSWER_WITHIN_S)[partition].result()
    except KafkaException as error:
        raise BrokerUnavailable(f"{CHANGELOG}/{shard} can't be cut off: {sentence(error.args[0])}") from error
