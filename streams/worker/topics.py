"""Makes the topics that are missing, and says where those that are there differ from what we need.

In: settings. Out: topics; sentences for an operator. Never: a topic deleted, shrunk or grown: that moves keys.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import NamedTuple

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # re-exported without saying so
    AdminClient,
    ConfigResource,
)
from confluent_kafka.cimpl import NewTopic

from streams.settings import Settings
from streams.topics import ENTRY_SUBJECTS, RAW, Topic, all_topics
from streams.worker.clients import BrokerUnavailable, admin, sentence

_ANSWER_WITHIN_S = 5.0
_POLL_S = 0.05
_CHECKED = ("message.timestamp.type", "max.message.bytes", "cleanup.policy", "retention.ms", "retention.bytes")


class Standing(NamedTuple):
    """A topic as the broker has it: its partitions, and how many of them have a leader."""

    partitions: int
    led: int


class Created(NamedTuple):
    """What `create` did: names of new topics, and what an operator has to mend."""

    new: list[str]
    mend: list[str]


def create(settings: Settings) -> Created:
    """Makes every topic that is missing and looks at the others; returns when all have leaders.

    Raises:
        BrokerUnavailable: no answer, a refusal, or topics that get no leader within 30 s.
    """
    client = admin(settings.kafka)
    there = standing(client, settings)
    missing = [topic for topic in all_topics(settings) if topic.name not in there]
    _make(client, missing, settings.kafka.replication)
    await_topics(settings)
    return Created([topic.name for topic in missing], differences(settings, there))


def standing(client: AdminClient, settings: Settings) -> dict[str, Standing]:
    """The broker's topics by name. Raises BrokerUnavailable."""
    try:
        found = client.list_topics(timeout=_ANSWER_WITHIN_S).topics
    except KafkaException as error:
        place = settings.kafka.bootstrap
        raise BrokerUnavailable(f"no broker answers at {place}: {sentence(error.args[0])}") from error
    return {name: _standing([part.leader for part in topic.partitions.values()]) for name, topic in found.items()}


def _standing(leaders: list[int]) -> Standing:
    return Standing(len(leaders), sum(leader >= 0 for leader in leaders))


def differences(settings: Settings, there: Mapping[str, Standing]) -> list[str]:
    """One sentence for each topic that has not the partitions it should; missing topics aren't mentioned."""
    wanted = [topic for topic in all_topics(settings) if topic.name in there]
    return [_mend(topic, there[topic.name].partitions) for topic in wanted if _differs(topic, there[topic.name])]


def _differs(topic: Topic, has: Standing) -> bool:
    return has.partitions != topic.partitions


def misconfigured(client: AdminClient, topics: list[Topic]) -> list[str]:
    """One sentence for each setting of these topics, which must be there, that is not as we need it."""
    wanted = {ConfigResource(ConfigResource.Type.TOPIC, topic.name): topic for topic in topics}
    found: list[str] = []
    if not wanted:
        return found
    for resource, answer in client.describe_configs(list(wanted), request_timeout=_ANSWER_WITHIN_S).items():
        try:
            has = {name: str(entry.value) for name, entry in answer.result().items()}
        except KafkaException as error:
            raise BrokerUnavailable(f"settings of {resource.name} can't be read: {sentence(error.args[0])}") from error
        found += _wrong(wanted[resource], has)
    return found


def _wrong(topic: Topic, has: Mapping[str, str]) -> list[str]:
    checked = {name: value for name, value in topic.config.items() if name in _CHECKED and name in has}
    return [
        f"topic {topic.name} has {name}={has[name]}: set it to {value} with kafka-configs.sh"
        for name, value in checked.items()
        if has[name] != value
    ]


def await_topics(settings: Settings, within_s: float = 30.0) -> None:
    """Waits until every topic is there and each of its partitions has a leader. Raises BrokerUnavailable if not."""
    client = admin(settings.kafka)
    deadline = time.monotonic() + within_s
    while waiting := _leaderless(client, settings):
        if time.monotonic() > deadline:
            raise BrokerUnavailable(
                f"{len(waiting)} topics have no leader after {within_s:.0f} s, such as {waiting[0]}"
            )
        time.sleep(_POLL_S)


def _leaderless(client: AdminClient, settings: Settings) -> list[str]:
    there = standing(client, settings)
    names = [topic.name for topic in all_topics(settings)]
    return [name for name in names if name not in there or there[name].led < max(there[name].partitions, 1)]


def _make(client: AdminClient, missing: list[Topic], replication: int) -> None:
    if not missing:
        return
    new = [NewTopic(topic.name, topic.partitions, replication, config=topic.config) for topic in missing]
    for name, done in client.create_topics(new, request_timeout=_ANSWER_WITHIN_S).items():
        try:
            done.result()
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise BrokerUnavailable(f"topic {name} can't be made: {sentence(error.args[0])}") from error


def _mend(topic: Topic, has: int) -> str:
    said = f"topic {topic.name} has {has} partitions, {topic.partitions} are wanted: "
    if topic.name in ENTRY_SUBJECTS:
        return said + "make it anew, since its order matters"
    setting = "kafka.raw_partitions" if topic.name.startswith(RAW) else "kafka.shards"
    if has > topic.partitions or setting == "kafka.shards":
        return said + f"set {setting} to {has}"
    return said + f"set {setting} to {has}, or add the missing ones with kafka-topics.sh"
