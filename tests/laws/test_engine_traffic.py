"""The generator's traffic, with tills, tablets and logins: an engine restored after each frame says the same."""

from __future__ import annotations

import msgpack

from bench.bench_stages import frames_of
from bench.traffic import TrafficSpec, plan
from schemas.frames import encode_resolved
from streams.engine import Engine, EngineConfig
from streams.journal.tables import Change, Tables

CONFIG = EngineConfig(b"salt")


def _restored(engine: Engine) -> Engine:
    rows = (msgpack.unpackb(msgpack.packb(tuple(row)), use_list=False) for row in engine.tables.rows())
    return Engine(0, CONFIG, Tables([Change(*row) for row in rows]))


def test_an_engine_that_is_restored_after_every_frame_says_the_same() -> None:
    """What it keeps in memory only, such as ids that brought nothing new before, must not show."""
    lasting, restored = Engine(0, CONFIG, Tables()), Engine(0, CONFIG, Tables())
    for offset, frame in enumerate(frames_of(plan(TrafficSpec(people=300, days=4.0)))):
        one, other = lasting.step(offset, frame), restored.step(offset, frame)
        assert one.public == other.public
        assert encode_resolved(one.resolved) == encode_resolved(other.resolved)
        restored = _restored(restored)
