"""Stock Faust applications for the engine and the sink: one agent each, one frame one event, concurrency 1.

In: settings, the topic, what to do per partition. Out: a Faust app. Never: anything of Faust's private parts.

The settings are those under which Faust neither loses nor stalls (docs/decisions/0004): no web server, no topic
declaration, no standby tables, small stream buffers since frames are big, and manual acknowledgement by the lanes.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Any

import faust
from faust.auth import SASLCredentials, SSLCredentials
from faust.types import TP

from streams.settings import Kafka
from streams.topics import MAX_RECORD_BYTES
from streams.worker.lane import Batching, Item, Lane, Work


def frame_app(name: str, kafka: Kafka, topic: str, work: Callable[[int], Work], batching: Batching) -> faust.App:
    """An app whose agent takes the frames of this topic to a lane per partition, made by `work(partition)`."""
    app = faust.App(
        name,
        broker=[f"kafka://{server}" for server in kafka.bootstrap.split(",")],
        broker_credentials=_credentials(kafka),
        value_serializer="raw",
        key_serializer="raw",
        store="memory://",
        web_enabled=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        table_standby_replicas=0,
        stream_buffer_maxsize=16,
        stream_wait_empty=False,
        broker_max_poll_records=64,
        broker_session_timeout=6.0,
        broker_heartbeat_interval=1.0,
        broker_commit_interval=1.0,
        consumer_max_fetch_size=2 * MAX_RECORD_BYTES,
        consumer_auto_offset_reset="earliest",
    )
    _wire(app, topic, Lanes(app, name, topic, work, batching))
    return app


class Lanes:
    """The lanes of the partitions that this worker owns."""

    def __init__(self, app: Any, name: str, topic: str, work: Callable[[int], Work], batching: Batching) -> None:
        self._app = app
        self._name = name
        self._topic = topic
        self._work = work
        self._batching = batching
        self._lanes: dict[int, Lane] = {}

    async def put(self, event: Any) -> None:
        """Takes an event to its partition's lane, which is opened by its first one."""
        message = event.message
        lane = self._lanes.get(message.partition)
        if lane is None:
            lane = self._lanes[message.partition] = self._open(message.partition)
        await lane.put(Item(message.offset, message.value, event))

    def _open(self, partition: int) -> Lane:
        async def seek(offset: int) -> None:
            await self._app.consumer.seek(TP(self._topic, partition), offset)

        return Lane(f"{self._name}/{partition}", self._work(partition), self._batching, seek, lambda: len(self._lanes))

    async def close(self, partitions: set[int] | None = None) -> None:
        """Closes the lanes of these partitions, or all."""
        for partition in list(self._lanes) if partitions is None else partitions & set(self._lanes):
            await self._lanes.pop(partition).close()


def _wire(app: Any, topic: str, lanes: Lanes) -> None:
    async def frames(stream: Any) -> None:
        async for event in stream.noack().events():
            await lanes.put(event)

    async def let_go(app: Any, revoked: set[TP], **_: Any) -> None:
        await lanes.close({tp.partition for tp in revoked if tp.topic == topic})

    async def end(app: Any, **_: Any) -> None:
        await lanes.close()

    raw = app.topic(topic, value_type=bytes, value_serializer="raw", key_serializer="raw")
    app.agent(raw, concurrency=1)(frames)
    app.on_partitions_revoked.connect(let_go)
    app.on_before_shutdown.connect(end)


def _credentials(kafka: Kafka) -> Any:
    context = ssl.create_default_context(cafile=kafka.ca_file or None) if "SSL" in kafka.security_protocol else None
    if kafka.security_protocol.startswith("SASL"):
        return SASLCredentials(
            mechanism=kafka.sasl_mechanism,
            username=kafka.username,
            password=kafka.password.get_secret_value(),
            ssl_context=context,
        )
    return SSLCredentials(context) if context else None
