"""What the broker says of partitions: their ends, what a group has committed, whether there is a record to read.

In: partitions. Out: offsets, as of now. Never: an answer from a consumer that works; a group joined.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from confluent_kafka import Consumer, IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import OffsetSpec  # type: ignore[attr-defined]  # re-exported without saying so

from streams.journal.frame import Partition
from streams.settings import Settings
from streams.worker.clients import BrokerUnavailable, admin, consumer_config, read, sentence

_WITHIN_S = 5.0
_LATEST: Any = OffsetSpec.latest()  # type: ignore[no-untyped-call]


class Offsets(Protocol):
    """May be asked from one thread; each call takes 10 s at most."""

    def ends(self, parts: Iterable[Partition]) -> dict[Partition, int]:
        """The end of each partition that can be asked for it, open transactions not counted. Raises BrokerUnavailable.

        Asking for none tells whether the broker answers.
        """

    def committed(self, parts: Iterable[Partition]) -> dict[Partition, int]:
        """What the group has committed of these; nothing for the others. Raises BrokerUnavailable."""

    def has_record(self, part: Partition, at: int) -> bool:
        """Whether a committed record stands at this offset or after it. Raises BrokerUnavailable.

        An end alone doesn't say: marks of transactions take offsets too.
        """


class BrokerOffsets:
    """`Offsets` of this group, asked of the broker by clients of our own."""

    def __init__(self, settings: Settings, group: str) -> None:
        self._settings = settings
        self._admin = admin(settings.kafka)
        self._group = Consumer(consumer_config(settings.kafka, group))

    def ends(self, parts: Iterable[Partition]) -> dict[Partition, int]:
        """See `Offsets`."""
        asked = {TopicPartition(*part): _LATEST for part in parts}
        try:
            if not asked:
                self._admin.list_topics(timeout=_WITHIN_S)
                return {}
            committed = IsolationLevel.READ_COMMITTED
            answers = self._admin.list_offsets(asked, isolation_level=committed, request_timeout=_WITHIN_S)
            told = {tp: answer.result() for tp, answer in answers.items() if answer.exception() is None}
        except KafkaException as error:
            raise self._away(error) from error
        if not told:
            raise BrokerUnavailable("the broker tells no ends")
        return {Partition(tp.topic, tp.partition): answer.offset for tp, answer in told.items()}

    def committed(self, parts: Iterable[Partition]) -> dict[Partition, int]:
        """See `Offsets`."""
        asked = [TopicPartition(*part) for part in parts]
        try:
            told = self._group.committed(asked, timeout=_WITHIN_S) if asked else []
        except KafkaException as error:
            raise self._away(error) from error
        return {Partition(tp.topic, tp.partition): tp.offset for tp in told if tp.error is None and tp.offset >= 0}

    def has_record(self, part: Partition, at: int) -> bool:
        """See `Offsets`."""
        return next(read(self._settings, part.topic, {part.partition: at}, _WITHIN_S), None) is not None

    def _away(self, error: KafkaException) -> BrokerUnavailable:
        self._admin = admin(self._settings.kafka)  # an old one keeps to the leaders of before a restart
        return BrokerUnavailable(f"the broker does not answer: {sentence(error.args[0])}")
