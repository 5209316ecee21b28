"""Ends a transaction of ours whose end the broker lost: all of it is taken back, or kept where that was promised.

In: a shard's output and its topics, right after the last owner was fenced. Out: nothing of a last owner that is open
and is folded again. Never: a transaction of a living producer; a guess without a word in the log.

Fencing returns when the coordinator calls the last transaction complete, so then nothing in the changelog may be open.
A broker that was killed between deciding a commit and writing its markers was seen to come back, call the transaction
complete, and write none (Apache Kafka 4.3, docs/decisions/0017). Its records stay invisible, so their frames would be
folded again, until the next marker commits both.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterable, Iterator
from typing import Any

from confluent_kafka import IsolationLevel, TopicPartition
from confluent_kafka.admin import OffsetSpec  # type: ignore[attr-defined]  # re-exported without saying so

from streams.settings import Settings
from streams.topics import CHANGELOG, RESOLVED, public_topics
from streams.worker.clients import admin, read
from streams.worker.output import Output
from streams.worker.state.changelog import Commit
from streams.worker.state.store import Position

log = logging.getLogger(__name__)

_ANSWER_WITHIN_S = 30.0
_PATIENCE_S = 5.0
_POLL_S = 0.2
_LATEST: Any = OffsetSpec.latest()  # type: ignore[no-untyped-call]


class Unended(Exception):
    """The changelog holds a transaction that is not ours to end."""


def end_lost(settings: Settings, shard: int, output: Output, store: Position) -> None:
    """Ends what is open in the shard's changelog; `store` is where the local store stands.

    A store that stands behind the open records was told that they are committed, so they are. Else they are taken back,
    and their frames folded again.

    Raises:
        Unended: that did not end it; an operator must.
        KafkaException: the broker is away.
    """
    partition = TopicPartition(CHANGELOG, shard)
    open_at = _undecided(settings, [partition]).get(partition)
    if open_at is None:
        return
    if store.changelog > open_at:
        log.error("shard %d: the broker lost that a transaction was committed, from %d on; it is now", shard, open_at)
        output.commit((), Commit(store.journal, []))
    else:
        log.error("shard %d: the broker lost the end of a transaction, from %d on; it is taken back", shard, open_at)
        output.take_back([(CHANGELOG, shard)])
    if _undecided(settings, [partition]):
        raise Unended(
            f"{CHANGELOG}/{shard} has had an open transaction from offset {open_at} on since before this worker, of a "
            f"producer that the coordinator forgot; find it and abort it: kafka-transactions.sh find-hanging, abort"
        )


def take_back_lost(settings: Settings, shard: int, output: Output, journal: int) -> None:
    """Takes back what is open of this shard's frames from offset `journal` on: these are going to be folded.

    What is open of earlier frames was committed, and counts with the next commit there. Raises KafkaException.
    """
    undecided = _undecided(settings, _written_to(settings, shard))
    lost = [part for part, at in undecided.items() if max(_frames(settings, part, at, shard), default=-1) >= journal]
    if lost:
        named = ", ".join(f"{part.topic}/{part.partition}" for part in lost)
        log.error("shard %d: the broker lost the end of a transaction on %s; it is taken back", shard, named)
        output.take_back([(part.topic, part.partition) for part in lost])


def _undecided(settings: Settings, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
    """Where something that stands there now is still open after a while: from which offset on.

    Transactions of living producers end meanwhile, or are found to hold nothing of ours.
    """
    asked, gives_up = list(partitions), time.monotonic() + _PATIENCE_S
    ends = _ends(settings, asked, IsolationLevel.READ_UNCOMMITTED)
    while True:
        stable = _ends(settings, asked, IsolationLevel.READ_COMMITTED)
        found = {part: at for part, at in stable.items() if at < ends[part]}
        if not found or time.monotonic() > gives_up:
            return found
        asked = list(found)
        time.sleep(_POLL_S)


def _ends(settings: Settings, partitions: Iterable[TopicPartition], level: IsolationLevel) -> dict[TopicPartition, int]:
    client = admin(settings.kafka)  # its answers live as long as it does
    asked = client.list_offsets(
        dict.fromkeys(partitions, _LATEST), isolation_level=level, request_timeout=_ANSWER_WITHIN_S
    )
    return {part: int(told.result().offset) for part, told in asked.items()}


def _frames(settings: Settings, partition: TopicPartition, start: int, shard: int) -> Iterator[int]:
    """The journal offsets of this shard whose records stand there, committed or not."""
    named = re.compile(rf"{shard}:(\d+)".encode())
    for record in read(settings, partition.topic, {partition.partition: start}, isolation_level="read_uncommitted"):
        if found := named.fullmatch(record.frame):
            yield int(found[1])


def _written_to(settings: Settings, shard: int) -> Iterator[TopicPartition]:
    """Every partition but the changelog's to which this shard may have written."""
    yield TopicPartition(RESOLVED, shard)
    for topic in public_topics(settings):
        yield from (TopicPartition(topic, number) for number in range(settings.kafka.shards))
