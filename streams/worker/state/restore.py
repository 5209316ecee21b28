"""Brings a shard's store to the committed end of its changelog.

In: a store, the changelog partition. Out: the store's rows as tables, and the position to fold from.
Never: a record of a transaction that was not committed; trust in a store that the changelog does not reach.
"""

from __future__ import annotations

import logging

from confluent_kafka import Consumer, KafkaError, TopicPartition

from streams.journal.tables import Tables
from streams.worker.state.changelog import Assembler
from streams.worker.state.store import Position, Store

log = logging.getLogger(__name__)


class ChangelogUnavailable(Exception):
    """The changelog could not be read to its end."""


def restore(store: Store, consumer: Consumer, partition: TopicPartition) -> tuple[Tables, Position]:
    """Reads what the store lacks of the changelog into it; answers all its rows.

    `consumer` reads committed records only, reports partition ends, and belongs to this call; it is closed.

    Raises:
        ChangelogUnavailable: the broker answered with an error.
    """
    try:
        _catch_up(store, consumer, partition)
    finally:
        consumer.close()
    return Tables(store.rows()), store.position()


def _catch_up(store: Store, consumer: Consumer, partition: TopicPartition) -> None:
    first, end = consumer.get_watermark_offsets(partition, timeout=30)
    if not first <= store.position().changelog <= max(end, first):
        log.warning("store of shard %d is of another changelog; restoring from its start", partition.partition)
        store.wipe()
    start = max(first, store.position().changelog)
    consumer.assign([TopicPartition(partition.topic, partition.partition, start)])
    assembler = Assembler()
    while True:
        message = consumer.poll(30)
        if message is None:
            raise ChangelogUnavailable(f"no answer while reading {partition.topic}/{partition.partition}")
        error = message.error()
        if error is not None and error.code() == KafkaError._PARTITION_EOF:
            return
        if error is not None:
            raise ChangelogUnavailable(error.str())
        commit = assembler.add(message.value() or b"")
        if commit is not None:
            store.commit(commit.changes, Position(commit.journal, (message.offset() or 0) + 1))
