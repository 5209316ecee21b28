"""Which topics a state is of: the cluster, and the ids that it gave to journal and changelog when they were made.

In: settings, or what a store or snapshot noted. Out: whether what was noted can be trusted here.
Never: a topic's name taken for the topic: one that was made anew has the same name and other offsets.

A broker that tells no ids (an old one) leaves them empty; what is unknown differs from nothing.
"""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any, NamedTuple

from confluent_kafka import KafkaError, KafkaException, TopicCollection

from streams.settings import Settings
from streams.topics import CHANGELOG, JOURNAL
from streams.worker.clients import BrokerUnavailable, admin, sentence
from streams.worker.state.log import OtherLog

_ANSWER_WITHIN_S = 10.0
_CANNOT = frozenset({KafkaError._UNSUPPORTED_FEATURE, KafkaError.UNSUPPORTED_VERSION})


class Origin(NamedTuple):
    """The cluster's id, and those of its journal and changelog topics."""

    cluster: str = ""
    journal: str = ""
    changelog: str = ""


UNKNOWN = Origin()


def origin_of(settings: Settings) -> Origin:
    """The topics that are there now. Raises BrokerUnavailable."""
    client = admin(settings.kafka)
    cluster = _answer(client.describe_cluster(request_timeout=_ANSWER_WITHIN_S))
    topics = client.describe_topics(TopicCollection([JOURNAL, CHANGELOG]), request_timeout=_ANSWER_WITHIN_S)
    journal, changelog = (_topic_id(_answer(topics[name])) for name in (JOURNAL, CHANGELOG))
    return Origin((cluster.cluster_id if cluster else None) or "", journal, changelog)


def _answer(asked: Future[Any]) -> Any:
    """What the broker says; None where it can't be asked such a thing."""
    try:
        return asked.result()
    except KafkaException as error:
        if error.args[0].code() in _CANNOT:
            return None
        raise BrokerUnavailable(f"the broker does not describe its topics: {sentence(error.args[0])}") from error


def _topic_id(described: Any) -> str:
    uuid = described.topic_id if described else None
    if uuid is None:
        return ""
    number = uuid.get_most_significant_bits() % 2**64 << 64 | uuid.get_least_significant_bits() % 2**64
    return f"{number:032x}" if number else ""


def is_trusted(noted: Origin, here: Origin, what: str, empty: bool) -> bool:
    """Whether the state of a store or snapshot (`what`) is of these topics; `empty`: nothing is in the changelog here.

    Raises:
        OtherLog: it is of one of them, and the other was made anew: an operator has to say what is true.
    """
    of_journal = not _differ(noted.cluster, here.cluster) and not _differ(noted.journal, here.journal)
    of_changelog = not _differ(noted.cluster, here.cluster) and not _differ(noted.changelog, here.changelog)
    if of_changelog and not of_journal:
        raise OtherLog(f"{what} is of journal {noted.journal}, but {here.journal} is there: was it made anew?")
    if of_journal and not of_changelog and empty:
        raise OtherLog(f"{what} is of changelog {noted.changelog}, but {here.changelog} is there: was it made anew?")
    return of_journal and of_changelog


def _differ(one: str, other: str) -> bool:
    return bool(one and other and one != other)
