"""Brings a shard's store to the committed end of its changelog.

In: a store, the changelog partition. Out: the store's rows as tables, and the position to fold from.
Never: a record of a transaction that was not committed; trust in a store that the changelog does not reach.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from streams.journal.tables import Tables
from streams.worker.lane import Abandoned
from streams.worker.state.changelog import Assembler
from streams.worker.state.store import Position, Store

log = logging.getLogger(__name__)

_ANSWER_WITHIN_S = 30.0
_POLL_S = 0.2


class ChangelogUnavailable(Exception):
    """The changelog could not be read to its end."""


def restore(
    store: Store, consumer: Consumer, partition: TopicPartition, stopping: threading.Event
) -> tuple[Tables, Position]:
    """Reads what the store lacks of the changelog into it; answers all its rows.

    `consumer` reads committed records only, reports partition ends, and belongs to this call; it is closed.

    Raises:
        ChangelogUnavailable: the broker answered with an error, or not at all.
        Abandoned: `stopping` was set.
    """
    try:
        _catch_up(store, consumer, partition, stopping)
    finally:
        consumer.close()
    return Tables(store.rows()), store.position()


def _catch_up(store: Store, consumer: Consumer, partition: TopicPartition, stopping: threading.Event) -> None:
    first, end = consumer.get_watermark_offsets(partition, timeout=_ANSWER_WITHIN_S)
    if not first <= store.position().changelog <= max(end, first):
        log.warning("store of shard %d is of another changelog; restoring from its start", partition.partition)
        store.wipe()
    start = max(first, store.position().changelog)
    consumer.assign([TopicPartition(partition.topic, partition.partition, start)])
    assembler = Assembler()
    for message in _records(consumer, partition, end, stopping):
        commit = assembler.add(message.value() or b"")
        if commit is not None:
            store.commit(commit.changes, Position(commit.journal, (message.offset() or 0) + 1))


def _records(consumer: Consumer, partition: TopicPartition, end: int, stopping: threading.Event) -> Iterator[Message]:
    """What is committed, to the end of the partition, which is at `end` at least: a new leader may not know it yet."""
    heard = time.monotonic()
    while True:
        if stopping.is_set():
            raise Abandoned
        message = consumer.poll(_POLL_S)
        error = message.error() if message is not None else None
        if message is not None and error is None:
            yield message
        elif message is not None and error is not None and error.code() == KafkaError._PARTITION_EOF:
            if (message.offset() or 0) >= end:
                return
        elif error is not None and not error.retriable():
            raise ChangelogUnavailable(error.str())
        elif time.monotonic() - heard > _ANSWER_WITHIN_S:
            raise ChangelogUnavailable(f"no answer while reading {partition.topic}/{partition.partition}")
        else:
            continue
        heard = time.monotonic()
