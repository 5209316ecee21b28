"""Stock Faust applications for the engine and the sink: one agent each, one frame one event, concurrency 1.

In: settings, the topic, what to do per partition. Out: a Faust app. Never: anything of Faust's private parts.

The settings are those under which Faust neither loses nor stalls (docs/decisions/0004): no web server, no topic
declaration, no standby tables, small stream buffers since frames are big, and manual acknowledgement by the lanes.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import faust
from faust.auth import SASLCredentials, SSLCredentials
from faust.types import TP

from streams.settings import Kafka, Settings
from streams.topics import MAX_RECORD_BYTES
from streams.worker.lane import Batching, Item, Lane, Work
from streams.worker.telemetry import Telemetry

_LAG_EVERY_S = 1.0
_METADATA_AGE_MS = 5_000
"""A group that was formed while the broker came up knows no partitions, and assigns none until it asks again."""


@dataclass(frozen=True, slots=True)
class Frames:
    """What an app does with a topic of frames: `work(partition)` is made for each partition that it owns."""

    topic: str
    work: Callable[[int], Work]
    batching: Batching


def frame_app(name: str, settings: Settings, frames: Frames, telemetry: Telemetry) -> faust.App:
    """An app whose agent takes the frames of a topic to a lane per partition."""
    kafka = settings.kafka
    settings.data.mkdir(parents=True, exist_ok=True)  # Faust makes its own folder in it, but no parent
    app = faust.App(
        name,
        broker=[f"kafka://{server}" for server in kafka.bootstrap.split(",")],
        broker_credentials=_credentials(kafka),
        value_serializer="raw",
        key_serializer="raw",
        store="memory://",
        datadir=str(settings.data / "faust"),
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
        consumer_metadata_max_age_ms=_METADATA_AGE_MS,
        consumer_auto_offset_reset="earliest",
    )
    _wire(app, frames.topic, Lanes(name, frames.work, frames.batching), telemetry)
    return app


class Lanes:
    """The lanes of the partitions that this worker owns: opened when they are assigned, closed when they go.

    A frame of another partition is stale: it is left alone, unacknowledged, and its owner gets it from Kafka.
    """

    def __init__(self, name: str, work: Callable[[int], Work], batching: Batching) -> None:
        self._name = name
        self._work = work
        self._batching = batching
        self._lanes: dict[int, Lane] = {}
        self._ended = False

    def open(self, partitions: set[int]) -> None:
        """Opens the lanes of these partitions, unless this worker is ending."""
        for partition in sorted(partitions - set(self._lanes)) if not self._ended else ():
            name = f"{self._name}/{partition}"
            self._lanes[partition] = Lane(name, self._work(partition), self._batching, lambda: len(self._lanes))

    async def put(self, event: Any) -> None:
        """Takes an event to its partition's lane; waits while that is full."""
        message = event.message
        lane = self._lanes.get(message.partition)
        if lane is not None:
            await lane.put(Item(message.offset, message.value, event))

    def offsets(self) -> dict[int, int]:
        """How far each lane is, in offsets of the topic; those that have done nothing yet are left out."""
        return {partition: lane.offset for partition, lane in self._lanes.items() if lane.offset >= 0}

    async def close(self, partitions: set[int]) -> None:
        """Closes the lanes of these partitions, all at once."""
        going = [self._lanes.pop(partition) for partition in partitions & set(self._lanes)]
        await asyncio.gather(*(lane.close() for lane in going))

    async def end(self) -> None:
        """Closes all lanes for good."""
        self._ended = True
        await self.close(set(self._lanes))


def _wire(app: Any, topic: str, lanes: Lanes, telemetry: Telemetry) -> None:
    async def frames(stream: Any) -> None:
        async for event in stream.noack().events():
            await lanes.put(event)

    async def take(app: Any, assigned: set[TP], **_: Any) -> None:
        lanes.open({tp.partition for tp in assigned if tp.topic == topic})

    async def let_go(app: Any, revoked: set[TP], **_: Any) -> None:
        await lanes.close({tp.partition for tp in revoked if tp.topic == topic})

    async def end(app: Any, **_: Any) -> None:
        await lanes.end()

    async def tell_lag() -> None:
        for partition, offset in lanes.offsets().items():
            behind = (app.consumer.highwater(TP(topic, partition)) or 0) - offset
            telemetry.set("siyu_lag_records", max(0, behind), topic=topic, partition=partition)

    raw = app.topic(topic, value_type=bytes, value_serializer="raw", key_serializer="raw")
    app.agent(raw, concurrency=1)(frames)
    app.on_partitions_assigned.connect(take)
    app.on_partitions_revoked.connect(let_go)
    app.on_before_shutdown.connect(end)
    app.timer(interval=_LAG_EVERY_S)(tell_lag)


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
