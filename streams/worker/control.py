"""What steers the pipeline enters by the topic `control`, and counts from where it stands in the journal.

In: the text of a rule, a policy, a source set. Out: Control records; whether the shards have one in their journal.
Never: a rule's meaning (see `rules.book`); a worker's state.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import yaml
from confluent_kafka import KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]  # re-exported without saying so

from schemas.codec import decode_one, encode
from schemas.records import Control
from schemas.registry import Registry
from streams.ingest.regroup import shard_of
from streams.journal.frame import decode_frame
from streams.rules.book import EVERY_TENANT
from streams.settings import Settings
from streams.topics import COMMANDS, CONTROL, JOURNAL, RAW
from streams.worker.clients import BrokerUnavailable, Record, admin, follow, read, sentence

_OFFSETS: Any = OffsetSpec  # its methods have no types
_LEADERLESS = {
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.UNKNOWN_LEADER_EPOCH,  # asked of a broker that has not heard yet what the others have
    KafkaError.FENCED_LEADER_EPOCH,
}
_AGAIN_S = 0.2
_FRAMES_BACK = 200
_ANSWER_WITHIN_S = 10.0
_SENT_WITHIN_S = 30.0


class NotAnswered(Exception):
    """What was published did not come to stand in the journal in time; the message is one sentence."""


def publish_control(
    producer: Producer,
    registry: Registry,
    *,
    kind: str,
    name: str,
    text: str,
    tenant: str = EVERY_TENANT,
    version: int = 1,
    who: str = "siyu",
    time_ms: int | None = None,
) -> str:
    """Writes one document to `control`, and answers its control_id when the broker has it. Blocks, 30 s at most.

    `kind`: rules, policy, sources. `time_ms`: the simulated time it is said at; None for now. Raises BrokerUnavailable.
    """
    now = int(time.time() * 1000) if time_ms is None else time_ms
    record = Control(
        control_id=uuid.uuid4().hex,
        tenant=tenant,
        kind=kind,
        name=name,
        version=version,
        text=text,
        who=who,
        time=now,
    )
    _send(producer, CONTROL, tenant, encode("control", record, registry.id_of("control")), now)
    return record["control_id"]


def publish_command(producer: Producer, registry: Registry, command: Mapping[str, Any]) -> str:
    """Writes an operator's order about who is who to `identity.commands`, and answers its command_id.

    `command`: tenant, kind, a, b, who and why, as in `IdentityCommand`. Blocks, 30 s at most. Raises BrokerUnavailable.
    """
    now = int(time.time() * 1000)
    record = {**command, "command_id": uuid.uuid4().hex, "time": now}
    packed = encode("identity_command", record, registry.id_of("identity_command"))
    _send(producer, COMMANDS, record["tenant"], packed, now)
    return str(record["command_id"])


def _send(producer: Producer, topic: str, key: str, value: bytes, time_ms: int) -> None:
    said: list[KafkaError | None] = []

    def taken(error: KafkaError | None, _: object) -> None:
        said.append(error)

    producer.produce(topic, key=key.encode(), value=value, timestamp=time_ms, on_delivery=taken)
    producer.flush(_SENT_WITHIN_S)
    if not said or said[0] is not None:
        reason = sentence(said[0]) if said and said[0] is not None else f"no answer in {_SENT_WITHIN_S:.0f} s"
        raise BrokerUnavailable(f"the record for {topic} was not taken: {reason}")


def publish_sources(settings: Settings, producer: Producer, registry: Registry, time_ms: int | None = None) -> str:
    """Declares all partitions of `events.raw.*` as the source set of every shard; answers the control_id.

    A member starts at the first offset that the broker still has. Raises BrokerUnavailable, also for a missing topic.
    """
    text = sources_text(first_offsets(settings, [RAW + source for source in settings.sources]))
    return publish_control(producer, registry, kind="sources", name="sources", text=text, time_ms=time_ms)


def declare_sources(settings: Settings, producer: Producer, registry: Registry) -> bool:
    """Publishes the source set if the last one that was published has other members; whether it did.

    Raises BrokerUnavailable.
    """
    starts = first_offsets(settings, [RAW + source for source in settings.sources])
    if _declared(settings, registry) == set(starts):
        return False
    publish_control(producer, registry, kind="sources", name="sources", text=sources_text(starts))
    return True


def _declared(settings: Settings, registry: Registry) -> set[tuple[str, int]]:
    """The members of the last source set on `control`."""
    last: set[tuple[str, int]] = set()
    for record in read(settings, CONTROL, first_of(settings, CONTROL)):
        with suppress(ValueError):
            control = decode_one(record.value, registry, "control")
            if control["kind"] == "sources":
                last = {(member["topic"], member["partition"]) for member in yaml.safe_load(control["text"])["sources"]}
    return last


def first_of(settings: Settings, topic: str) -> dict[int, int]:
    """The first offset of each partition of one topic. Raises BrokerUnavailable."""
    return {partition: start for (_, partition), start in first_offsets(settings, [topic]).items()}


def sources_text(starts: Mapping[tuple[str, int], int]) -> str:
    """The source set as the YAML that the engine reads: `sources: [{topic, partition, start}]`."""
    members = [
        {"topic": topic, "partition": partition, "start": start} for (topic, partition), start in sorted(starts.items())
    ]
    return str(yaml.safe_dump({"sources": members}, sort_keys=False))


def first_offsets(settings: Settings, topics: Sequence[str]) -> dict[tuple[str, int], int]:
    """The first offset that the broker has of each partition of these topics. Raises BrokerUnavailable."""
    return _offsets(settings, topics, _OFFSETS.earliest())


def offsets_since(settings: Settings, topic: str, time_ms: int) -> dict[int, int]:
    """The first offset of each partition whose record is not older than this; -1 where none is. BrokerUnavailable."""
    found = _offsets(settings, [topic], _OFFSETS.for_timestamp(time_ms))
    return {partition: offset for (_, partition), offset in found.items()}


def journal_ends(settings: Settings) -> dict[int, int]:
    """An offset by shard at or below the journal's end, to `await_control` from. Raises BrokerUnavailable.

    The embedded broker answers its last batch's start plus one, so this may lie some records before the end.
    """
    return {shard: end for (_, shard), end in _offsets(settings, [JOURNAL], _OFFSETS.latest()).items()}


def _offsets(settings: Settings, topics: Sequence[str], spec: Any) -> dict[tuple[str, int], int]:
    client = admin(settings.kafka)
    try:
        known = client.list_topics(timeout=_ANSWER_WITHIN_S).topics
        if missing := [topic for topic in topics if topic not in known]:
            raise BrokerUnavailable(f"topic {missing[0]} is missing: `siyu up` or `siyu doctor --create` makes it")
        asked = {TopicPartition(topic, number): spec for topic in topics for number in known[topic].partitions}
        return _answered(client, asked)
    except KafkaException as error:
        raise BrokerUnavailable(f"the broker did not say its offsets: {sentence(error.args[0])}") from error


def _answered(client: AdminClient, asked: Mapping[TopicPartition, Any]) -> dict[tuple[str, int], int]:
    """The offsets; a partition that is new or moves has no leader for a moment, and is asked again."""
    gives_up = time.monotonic() + _ANSWER_WITHIN_S
    while True:
        try:
            answers = client.list_offsets(dict(asked), request_timeout=_ANSWER_WITHIN_S)
            return {(part.topic, part.partition): answer.result().offset for part, answer in answers.items()}
        except KafkaException as error:
            if error.args[0].code() not in _LEADERLESS or time.monotonic() > gives_up:
                raise
            time.sleep(_AGAIN_S)


def await_control(
    settings: Settings,
    control_id: str,
    tenant: str = EVERY_TENANT,
    since: Mapping[int, int] | None = None,
    within_s: float = 30.0,
) -> None:
    """Waits until the document stands in the journal of each shard that it is for.

    `since`: `journal_ends` from before it was published; without, the last 200 frames of each shard are looked at.
    Raises NotAnswered, BrokerUnavailable.
    """
    await_entries(settings, lambda record: record.get("control_id") == control_id, tenant, since, within_s)


def await_entries(
    settings: Settings,
    wanted: Callable[[Mapping[str, Any]], bool],
    tenant: str,
    since: Mapping[int, int] | None,
    within_s: float,
) -> None:
    """Waits until an entry (control or command) that is wanted stands in the journal of each of the tenant's shards."""
    shards = settings.kafka.shards
    waiting = set(range(shards) if tenant == EVERY_TENANT else (shard_of(tenant, shards),))
    starts = since if since is not None else _back(journal_ends(settings))
    for record in follow(settings, JOURNAL, {shard: starts.get(shard, 0) for shard in waiting}, within_s):
        if record.partition in waiting and _holds(record, wanted):
            waiting.discard(record.partition)
        if not waiting:
            return
    named = ", ".join(str(shard) for shard in sorted(waiting))
    raise NotAnswered(f"it is published, but after {within_s:.0f} s not in the journal of shard {named}: is ingest up?")


def _back(ends: Mapping[int, int]) -> dict[int, int]:
    return {shard: max(0, end - _FRAMES_BACK) for shard, end in ends.items()}


def _holds(record: Record, wanted: Callable[[Mapping[str, Any]], bool]) -> bool:
    entries: Iterable[Any] = decode_frame(record.value).entries
    return any(wanted(entry.record) for entry in entries)
