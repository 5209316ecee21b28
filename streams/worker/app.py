"""Stock Faust applications for the engine and the sink: one agent each, one frame one event, concurrency 1.

In: settings, the topic, what to do per partition. Out: a Faust app. Never: anything of Faust's private parts.

The settings are those under which Faust neither loses nor stalls (docs/decisions/0004): no web server, no topic
declaration, no standby tables, small stream buffers since frames are big, and manual acknowledgement by the lanes.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import faust
from faust.auth import SASLCredentials, SSLCredentials
from faust.types import TP

from streams.journal.frame import Partition
from streams.settings import Kafka, Settings
from streams.topics import MAX_RECORD_BYTES
from streams.worker.flow import Batching, Flow, Freely
from streams.worker.lane import Lane
from streams.worker.standing import Standing
from streams.worker.telemetry import Telemetry
from streams.worker.work import Item, Work

_TURN_EVERY_S = 1.0
_METADATA_AGE_MS = 5_000
"""A group that was formed while the broker came up knows no partitions, and assigns none until it asks again."""


@dataclass(frozen=True, slots=True)
class Frames:
    """What an app does with a topic of frames: `work(partition)` is made for each partition that it owns.

    `halts`: exceptions of a batch for which the partition's lane halts alone instead of ending the process.
    """

    topic: str
    work: Callable[[int], Work]
    batching: Batching
    halts: Callable[[Exception], bool] = lambda _: False


def frame_app(name: str, settings: Settings, frames: Frames, telemetry: Telemetry) -> tuple[faust.App, Lanes]:
    """An app whose agent takes the frames of a topic to a lane per partition, and these lanes."""
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
    lanes = Lanes(name, frames, lambda partition: _Fetching(app, TP(frames.topic, partition)), lambda: _left(app))
    _wire(app, lanes, telemetry)
    return app, lanes


class _Fetching:
    """The flow of a partition: Faust's own way to stop fetching for a buffer that is full, and to go on."""

    def __init__(self, app: Any, partition: TP) -> None:
        self._app = app
        self._partition = partition

    def hold(self) -> None:
        self._app.consumer.on_buffer_full(self._partition)

    def go(self) -> None:
        self._app.consumer.on_buffer_drop(self._partition)


def _left(app: Any) -> str:
    """What ended aiokafka's group membership, "" while it lives: Faust does not notice, and would wait for ever.

    For other threads: none of this may be made by being asked for, it would belong to their loop.
    """
    thread = getattr(app._consumer, "_thread", None)
    coordinator = getattr(getattr(thread, "_consumer", None), "_coordinator", None)
    task: asyncio.Task[None] | None = getattr(coordinator, "_coordination_task", None)
    if task is None or not task.done() or task.cancelled() or task.exception() is None:
        return ""
    return str(task.exception())


class Lanes:
    """The lanes of the partitions that this worker owns: opened when they are assigned, closed when they go.

    A frame of another partition is stale: it is left alone, unacknowledged, and its owner gets it from Kafka.
    """

    def __init__(
        self,
        name: str,
        frames: Frames,
        flow: Callable[[int], Flow] = lambda _: Freely(),
        lost: Callable[[], str] = lambda: "",
    ) -> None:
        self.group = name
        self.topic = frames.topic
        self._frames = frames
        self._flow = flow
        self._lost = lost
        self._lanes: dict[int, Lane] = {}
        self._told = False
        self._ended = False
        self._turned_s = 0.0

    def open(self, partitions: set[int]) -> None:
        """Opens the lanes of these partitions, unless this worker is ending."""
        self._told = True
        self.turn()
        for partition in sorted(partitions - set(self._lanes)) if not self._ended else ():
            self._lanes[partition] = self._lane(partition)

    def _lane(self, partition: int) -> Lane:
        frames = self._frames
        return Lane(
            f"{self.group}/{partition}",
            frames.work(partition),
            frames.batching,
            lambda: len(self._lanes),
            flow=self._flow(partition),
            halts=frames.halts,
        )

    def put(self, event: Any) -> None:
        """Takes an event to its partition's lane."""
        message = event.message
        lane = self._lanes.get(message.partition)
        if lane is not None:
            lane.put(Item(message.offset, message.value, event))

    def turn(self) -> None:
        """Says that the event loop goes round."""
        self._turned_s = time.monotonic()

    def turned_s(self) -> float:
        """See `Watched`."""
        return self._turned_s

    def lost(self) -> str:
        """See `Watched`."""
        return "" if self._ended else self._lost()

    def standings(self) -> dict[Partition, Standing] | None:
        """See `Watched`."""
        lanes = dict(self._lanes)
        found = {Partition(self.topic, partition): lane.standing() for partition, lane in lanes.items()}
        return found if self._told else None

    async def let_go(self, partitions: set[int]) -> None:
        """Closes the lanes of these partitions: others are to be told soon."""
        self._told = False
        await self.close(partitions)

    async def close(self, partitions: set[int]) -> None:
        """Closes the lanes of these partitions, all at once."""
        going = [self._lanes.pop(partition) for partition in partitions & set(self._lanes)]
        await asyncio.gather(*(lane.close() for lane in going))

    async def end(self) -> None:
        """Closes all lanes for good."""
        self._ended = True
        await self.close(set(self._lanes))


def _wire(app: Any, lanes: Lanes, telemetry: Telemetry) -> None:
    topic = lanes.topic

    async def frames(stream: Any) -> None:
        async for event in stream.noack().events():
            lanes.put(event)

    async def take(app: Any, assigned: set[TP], **_: Any) -> None:
        lanes.open({tp.partition for tp in assigned if tp.topic == topic})

    async def let_go(app: Any, revoked: set[TP], **_: Any) -> None:
        await lanes.let_go({tp.partition for tp in revoked if tp.topic == topic})

    async def end(app: Any, **_: Any) -> None:
        await lanes.end()

    async def turn() -> None:
        lanes.turn()
        for of, standing in (lanes.standings() or {}).items():
            if standing.offset >= 0:
                behind = (app.consumer.highwater(TP(*of)) or 0) - standing.offset
                telemetry.set("siyu_lag_records", max(0, behind), topic=topic, partition=of.partition)

    raw = app.topic(topic, value_type=bytes, value_serializer="raw", key_serializer="raw")
    app.agent(raw, concurrency=1)(frames)
    app.on_partitions_assigned.connect(take)
    app.on_partitions_revoked.connect(let_go)
    app.on_before_shutdown.connect(end)
    app.timer(interval=_TURN_EVERY_S)(turn)


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
