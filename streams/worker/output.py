"""What leaves the engine: public records, resolved frames and the changelog, in one Kafka transaction a commit.

In: what the fold made of some journal frames, the rows that changed. Out: the changelog offset after the commit.
Never: a commit of half of it, where the broker has transactions; on one without, outputs go before the changelog, so
that after a crash the same records come again under the same ids.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from typing import Any

from confluent_kafka import KafkaError, Message, Producer

from schemas.codec import encode
from schemas.frames import encode_resolved
from schemas.registry import Registry
from streams.engine import Outputs
from streams.settings import Kafka
from streams.topics import CHANGELOG, FRAME, RESOLVED
from streams.worker.clients import producer_config
from streams.worker.state.changelog import Commit, pack

_TIMEOUT_S = 30.0
Headers = list[tuple[str, str | bytes | None]]


class NotDelivered(Exception):
    """The broker refused or lost a record of this commit: nothing of it counts, the worker must start again."""


class Output:
    """The producer of one shard. One thread at a time."""

    def __init__(self, shard: int, kafka: Kafka, registry: Registry) -> None:
        self._shard = shard
        self._registry = registry
        self._transactions = kafka.transactions
        self._failed: list[KafkaError] = []
        self._changelog_end = 0
        self._lock = threading.Lock()
        self._producer = Producer(producer_config(kafka, f"siyu-engine-{shard}"))
        if self._transactions:
            self._producer.init_transactions(_TIMEOUT_S)

    def commit(self, outputs: Sequence[Outputs], commit: Commit) -> int:
        """Sends all of it and waits until it is safe. Answers the next changelog offset.

        Raises:
            NotDelivered: some record did not get there.
            KafkaException: another worker took this shard over, or the broker is away for too long.
        """
        with self._lock:
            if self._transactions:
                self._producer.begin_transaction()
            for output in outputs:
                self._send(output)
            if not self._transactions:
                self._flush()
            for part in pack(commit):
                self._produce(CHANGELOG, part, None, self._shard, self._changelog_sent)
            if self._transactions:
                self._producer.commit_transaction(_TIMEOUT_S)
            self._flush()
            return self._changelog_end

    def take_back(self, partitions: Iterable[tuple[str, int]]) -> None:
        """Writes the mark of a transaction that does not count to these partitions, behind whatever is open there."""
        with self._lock:
            self._producer.begin_transaction()
            for topic, partition in partitions:
                self._produce(topic, None, None, partition, self._sent)
            self._flush()
            self._producer.abort_transaction(_TIMEOUT_S)

    def _send(self, output: Outputs) -> None:
        headers: Headers = [(FRAME, f"{self._shard}:{output.resolved.journal_offset}".encode())]
        for topic, key, subject, record in output.public:
            value = encode(subject, record, self._registry.id_of(subject))
            self._produce(topic, value, _key(key), -1, self._sent, headers=headers)
        self._produce(RESOLVED, encode_resolved(output.resolved), None, self._shard, self._sent, headers=headers)

    def _produce(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None,
        partition: int,
        sent: Any,
        *,
        headers: Headers | None = None,
    ) -> None:
        while True:
            try:
                self._producer.produce(topic, value, key, partition, on_delivery=sent, headers=headers)
                return
            except BufferError:
                self._producer.poll(0.05)

    def _flush(self) -> None:
        if self._producer.flush(_TIMEOUT_S):
            raise NotDelivered(f"the broker took too long to take the outputs of shard {self._shard}")
        if self._failed:
            raise NotDelivered(f"shard {self._shard}: {self._failed[0].str()}")

    def _sent(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self._failed.append(error)

    def _changelog_sent(self, error: KafkaError | None, message: Message) -> None:
        self._sent(error, message)
        if error is None:
            self._changelog_end = (message.offset() or 0) + 1

    def close(self) -> None:
        """Gives up what is not committed."""
        with self._lock:
            self._producer.purge()
            self._producer.flush(1.0)


def _key(key: str) -> bytes | None:
    return key.encode(errors="surrogateescape") or None
