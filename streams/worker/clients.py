"""How we speak to Kafka and to the schema registry, in the terms of their clients.

In: settings. Out: configurations, an admin client, a registry, a topic's records. Never: a secret in a `repr`, a log or
a message; a commit; an end that the broker was asked for (the embedded one answers a wrong one).

Sizes: a record of `MAX_RECORD_BYTES` must pass everywhere, also inside a dead letter; so every limit is twice that.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any, NamedTuple

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition
from confluent_kafka.admin import AdminClient

from schemas.confluent import ConfluentRegistry
from schemas.registry import TOPICS, LocalRegistry, Registry
from streams.settings import InvalidSettings, Kafka, Settings
from streams.topics import FRAME, MAX_RECORD_BYTES, RAW

MAX_MESSAGE_BYTES = 2 * MAX_RECORD_BYTES
SESSION_TIMEOUT_MS = 6_000
HEARTBEAT_MS = 1_000
TRANSACTION_TIMEOUT_MS = 10_000

_POLL_S = 0.2
_LOG = logging.getLogger("streams.kafka")
_CRITICAL = 2  # syslog's scale: below it, librdkafka writes to our standard error by itself
_PASSING = frozenset({KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._RESOLVE})
_SECRET = frozenset({"sasl.password", "password"})


class BrokerUnavailable(Exception):
    """The broker does not answer, or refuses; the message is one sentence."""


class Configuration(dict[str, Any]):
    """A client's configuration; prints without its secrets."""

    def __repr__(self) -> str:
        return repr({name: "***" if name in _SECRET and value else value for name, value in self.items()})

    __str__ = __repr__

    def __or__(self, other: Any) -> Configuration:  # type: ignore[override]  # stays one that hides its secrets
        return Configuration({**self, **other})


def producer_config(kafka: Kafka, transactional_id: str = "", **more: Any) -> Configuration:
    """A producer that loses, doubles and reorders nothing; `more` by librdkafka's names with `_` for `.` wins.

    Keys go to the partitions that Java and aiokafka would choose. With a transactional id a killed owner's open
    transaction holds its readers for 10 s at most; transactions are left off where settings say so.
    """
    values: dict[str, Any] = {
        "acks": "all",
        "enable.idempotence": True,
        "partitioner": "murmur2_random",
        "message.max.bytes": MAX_MESSAGE_BYTES,
        "compression.type": "lz4",
        "linger.ms": 5,
        "batch.size": 1 << 20,
        "queue.buffering.max.kbytes": 256 * 1024,
        "delivery.timeout.ms": 60_000,
        "error_cb": _log,
    }
    if transactional_id and kafka.transactions:
        values |= {"transactional.id": transactional_id, "transaction.timeout.ms": TRANSACTION_TIMEOUT_MS}
        values |= {"delivery.timeout.ms": TRANSACTION_TIMEOUT_MS}
    return _configuration(kafka, values, more)


def consumer_config(kafka: Kafka, group: str, **more: Any) -> Configuration:
    """A consumer of committed records that starts at the first one and commits nothing by itself.

    Joining the embedded broker's group takes half a session timeout, hence 6 s.
    """
    values: dict[str, Any] = {
        "group.id": group,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "earliest",
        "isolation.level": "read_committed",
        "session.timeout.ms": SESSION_TIMEOUT_MS,
        "heartbeat.interval.ms": HEARTBEAT_MS,
        "fetch.wait.max.ms": 100,
        "fetch.error.backoff.ms": 50,
        "fetch.max.bytes": 2 * MAX_MESSAGE_BYTES,
        "max.partition.fetch.bytes": MAX_MESSAGE_BYTES,
        "receive.message.max.bytes": 2 * MAX_MESSAGE_BYTES + (1 << 20),
        "queued.max.messages.kbytes": 64 * 1024,
        "queued.min.messages": 20_000,
        "error_cb": _log,
    }
    return _configuration(kafka, values, more)


def admin(kafka: Kafka) -> AdminClient:
    """A client for topics and their configuration; it connects when first asked."""
    return AdminClient(_configuration(kafka, {"socket.timeout.ms": 10_000}, {}))


def registry_of(settings: Settings) -> Registry:
    """Where schemas are looked up: the server that settings name, else the ids fixed in the package.

    Raises InvalidSettings for an address that is none; the server is asked when an id is.
    """
    return _server_registry(settings) if settings.registry.url else LocalRegistry()


def register(settings: Settings) -> int:
    """Registers our schemas for every topic with the server, and answers their number; 0 without a server.

    Raises RegistryUnavailable, and ValueError where the server holds another schema.
    """
    return len(_server_registry(settings).register()) if settings.registry.url else 0


def _server_registry(settings: Settings) -> ConfluentRegistry:
    named = settings.registry
    topics = {RAW + source: "behaviour_event" for source in settings.sources} | dict(TOPICS)
    try:
        return ConfluentRegistry(
            named.url, named.username, named.password.get_secret_value(), ca_file=named.ca_file or None, topics=topics
        )
    except ValueError as error:
        raise InvalidSettings(f"registry.url: {error}") from error


def sentence(error: KafkaError) -> str:
    """Kafka's error as a part of a sentence."""
    if error.code() in _PASSING:
        return "no connection"
    return str(error.str()).removeprefix("Failed to get metadata: ").removeprefix("Local: ").rstrip(".")


def _configuration(kafka: Kafka, values: dict[str, Any], more: dict[str, Any]) -> Configuration:
    named = {name if name.endswith("_cb") else name.replace("_", "."): value for name, value in more.items()}
    usual = {
        "bootstrap.servers": kafka.bootstrap,
        "client.id": "siyu-streams",
        "log_level": _CRITICAL,
        "socket.keepalive.enable": True,
        "reconnect.backoff.max.ms": 2_000,
        "topic.metadata.refresh.interval.ms": 30_000,
    }
    return Configuration({**usual, **_security(kafka), **values, **named})


def _security(kafka: Kafka) -> dict[str, Any]:
    values: dict[str, Any] = {"security.protocol": kafka.security_protocol}
    if kafka.security_protocol.endswith("SSL") and kafka.ca_file:
        values["ssl.ca.location"] = kafka.ca_file
    if kafka.security_protocol.startswith("SASL"):
        values["sasl.mechanism"] = kafka.sasl_mechanism
        values["sasl.username"] = kafka.username
        values["sasl.password"] = kafka.password.get_secret_value()
    return values


def _log(error: KafkaError) -> None:
    _LOG.warning("%s", sentence(error))


class Record(NamedTuple):
    """A record as Kafka has it; an absent key is None, an absent value is empty."""

    partition: int
    offset: int
    time_ms: int
    key: bytes | None
    value: bytes
    frame: bytes = b""
    """The header `FRAME`."""


def read(
    settings: Settings, topic: str, starts: Mapping[int, int], quiet_s: float = 15.0, **more: Any
) -> Iterator[Record]:
    """All records from these offsets by partition to the end, partitions interleaved; `more`: see `consumer_config`.

    Raises:
        BrokerUnavailable: nothing came for `quiet_s`, or the broker refused.
    """
    ahead = set(starts)
    with closing(_assigned(settings, topic, starts, **more)) as consumer:
        heard = time.monotonic()
        while ahead:
            message = consumer.poll(_POLL_S)
            if message is not None and _is_end(message):
                ahead.discard(_partition(message))
            elif message is not None and message.error() is None:
                yield _record(message)
            elif time.monotonic() - heard > quiet_s:
                raise BrokerUnavailable(f"the broker gave nothing of {topic} for {quiet_s:.0f} s")
            else:
                continue
            heard = time.monotonic()


def follow(settings: Settings, topic: str, starts: Mapping[int, int], within_s: float) -> Iterator[Record]:
    """Records from these offsets by partition as they come, for so long. Raises BrokerUnavailable."""
    deadline = time.monotonic() + within_s
    with closing(_assigned(settings, topic, starts)) as consumer:
        while (left := deadline - time.monotonic()) > 0:
            message = consumer.poll(min(_POLL_S, left))
            if message is not None and not _is_end(message) and message.error() is None:
                yield _record(message)


def _assigned(settings: Settings, topic: str, starts: Mapping[int, int], **more: Any) -> Consumer:
    config = consumer_config(settings.kafka, "siyu-log-reader", enable_partition_eof=True, **more)
    consumer = Consumer(config)
    consumer.assign([TopicPartition(topic, partition, offset) for partition, offset in starts.items()])
    return consumer


def _is_end(message: Message) -> bool:
    """Whether the end was met; raises BrokerUnavailable for an error that won't pass by itself."""
    error = message.error()
    if error is None:
        return False
    if error.code() == KafkaError._PARTITION_EOF:
        return True
    if not error.retriable() and error.code() not in _PASSING:
        raise BrokerUnavailable(f"{message.topic() or 'the log'} can't be read: {sentence(error)}")
    return False


def _record(message: Message) -> Record:
    key, value, offset = message.key(), message.value(), message.offset()
    at = -1 if offset is None else offset
    headers: Any = message.headers() or ()
    frame = next((header for name, header in headers if name == FRAME), None)
    return Record(_partition(message), at, message.timestamp()[1], _bytes(key), _bytes(value) or b"", frame or b"")


def _partition(message: Message) -> int:
    number = message.partition()
    return -1 if number is None else number


def _bytes(data: str | bytes | None) -> bytes | None:
    return data.encode() if isinstance(data, str) else data
