"""Ends a transaction of ours whose end the broker lost: all of it is taken back, or kept where that was promised.

In: a shard's output and changelog, right after the last owner was fenced. Out: a changelog that is committed to its
end. Never: a transaction of a living producer; a guess without a word in the log.

Fencing returns when the coordinator calls the last transaction complete, so then nothing in the changelog may be open.
A broker that was killed between deciding a commit and writing its markers was seen to come back, call the transaction
complete, and write none (Apache Kafka 4.3, docs/decisions/0017). Its records stay invisible, so their frames would be
folded again, until the next marker commits both.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from typing import Any

from confluent_kafka import IsolationLevel, TopicPartition
from confluent_kafka.admin import OffsetSpec  # type: ignore[attr-defined]  # re-exported without saying so

from streams.settings import Settings
from streams.topics import CHANGELOG, RAW, RESOLVED, all_topics
from streams.worker.clients import admin
from streams.worker.output import Output
from streams.worker.state.changelog import Commit
from streams.worker.state.store import Position

log = logging.getLogger(__name__)

_ANSWER_WITHIN_S = 30.0
_PATIENCE_S = 5.0
_POLL_S = 0.2
_LATEST: Any = OffsetSpec.latest()  # type: ignore[no-untyped-call]
_READERS_ONLY = (RAW, "siyu.internal.", "deliveries", "identity.commands", "control")


class Unended(Exception):
    """The changelog holds a transaction that is not ours to end."""


def end_lost(settings: Settings, shard: int, output: Output, store: Position) -> None:
    """Ends what is open in the shard's changelog; `store` is where the local store stands.

    A store that stands behind the open records was told that they are committed, so they are. Else they are taken back
    wherever they are, and their frames folded again.

    Raises:
        Unended: that did not end it; an operator must.
        KafkaException: the broker is away.
    """
    partition = TopicPartition(CHANGELOG, shard)
    if (open_at := _open_at(settings, partition)) is None:
        return
    if store.changelog > open_at:
        log.error("shard %d: the broker lost that a transaction was committed, from %d on; it is now", shard, open_at)
        output.keep(Commit(store.journal, []))
    else:
        log.error("shard %d: the broker lost the end of a transaction, from %d on; it is taken back", shard, open_at)
        output.take_back(_written_to(settings, shard))
    if _open_at(settings, partition) is not None:
        raise Unended(
            f"{CHANGELOG}/{shard} has had an open transaction from offset {open_at} on since before this worker, of a "
            f"producer that the coordinator forgot; find it and abort it: kafka-transactions.sh find-hanging, abort"
        )


def _open_at(settings: Settings, partition: TopicPartition) -> int | None:
    """The first offset that is not committed and not taken back; None where there is none, soon."""
    gives_up = time.monotonic() + _PATIENCE_S
    while (stable := _end(settings, partition, IsolationLevel.READ_COMMITTED)) < _end(
        settings, partition, IsolationLevel.READ_UNCOMMITTED
    ):
        if time.monotonic() > gives_up:
            return stable
        time.sleep(_POLL_S)
    return None


def _end(settings: Settings, partition: TopicPartition, level: IsolationLevel) -> int:
    client = admin(settings.kafka)  # its answers live as long as it does
    asked = client.list_offsets({partition: _LATEST}, isolation_level=level, request_timeout=_ANSWER_WITHIN_S)
    return int(asked[partition].result().offset)


def _written_to(settings: Settings, shard: int) -> Iterable[tuple[str, int]]:
    """Every partition in which a transaction of this shard may have left something."""
    yield RESOLVED, shard
    yield CHANGELOG, shard
    for topic in all_topics(settings):
        if not topic.name.startswith(_READERS_ONLY):
            yield from ((topic.name, number) for number in range(topic.partitions))
