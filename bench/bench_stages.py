"""Each stage alone, in one process, without a broker: align, ingest, journal codec, engine, resolved codec, commit.

In: seeded traffic, encoded before the clock starts. Out: events/s and CPU µs/event of each stage.
Never: a broker, a database.

    python -m bench.bench_stages [--people 2000]
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.measure import tell, timed
from bench.player import encoded, with_entry_heartbeats
from bench.traffic import HEARTBEAT, Sent, Traffic, TrafficSpec, plan
from schemas.frames import decode_resolved, encode_resolved
from schemas.registry import LocalRegistry
from streams.backtest import opening
from streams.engine import Engine, EngineConfig, Outputs
from streams.ingest.align import Aligner, Cut
from streams.ingest.intake import Batch, Intake
from streams.ingest.record import RawRecord
from streams.ingest.validate import Limits
from streams.journal.frame import Frame, Partition, decode_frame, encode_frame
from streams.journal.tables import Tables
from streams.worker.state.changelog import Commit, pack
from streams.worker.state.rocks import RocksStore
from streams.worker.state.store import Position

RULES = Path(__file__).parents[1] / "deploy" / "rules"
_CHUNK = 2_000
_CUT = 8_000


def main() -> None:
    """Runs all stages over one traffic."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=2_000)
    traffic = plan(TrafficSpec(people=parser.parse_args().people))
    registry = LocalRegistry()
    records = _records(traffic, traffic.spec, registry)
    events = sum(not record.heartbeat for record in records)
    cuts: list[Cut] = []
    tell("align", **timed(lambda: cuts.extend(_aligned(records)), events))
    intake = Intake(registry, frozenset(traffic.spec.tenants), Limits(), 1)
    batches: list[Batch] = []
    tell("ingest", **timed(lambda: batches.extend(map(intake.process, cuts)), events))
    packed: list[bytes] = []
    tell("journal_encode", **timed(lambda: packed.extend(encode_frame(batch.frames[0]) for batch in batches), events))
    frames: list[Frame] = []
    tell("journal_decode", **timed(lambda: frames.extend(map(decode_frame, packed)), events))
    _engine(frames, events)


def frames_of(traffic: Traffic) -> list[Frame]:
    """The traffic as the journal frames of one shard."""
    return frames_over([traffic])


def frames_over(traffics: Sequence[Traffic]) -> list[Frame]:
    """One traffic after the other, of the same tenants."""
    registry, first = LocalRegistry(), traffics[0]
    intake = Intake(registry, frozenset(first.spec.tenants), Limits(), 1)
    return [intake.process(cut).frames[0] for cut in _aligned(_records(chain(*traffics), first.spec, registry))]


def _records(traffic: Iterable[Sent], spec: TrafficSpec, registry: LocalRegistry) -> list[RawRecord]:
    offsets: dict[Partition, int] = {}
    rules = {path.stem: path.read_text() for path in RULES.glob("unpaid-*.yaml")}
    sent = list(with_entry_heartbeats(traffic))
    members = sorted({Partition(one.topic, one.partition) for one in sent if one.topic.startswith("events.")})
    found = opening(rules, members, registry, spec.start_ms - 60_000)
    offsets[Partition("control", 0)] = len(found)
    for one in sent:
        part = Partition(one.topic, one.partition)
        offset = offsets.setdefault(part, 0)
        offsets[part] += 1
        value = None if one.fault == HEARTBEAT else encoded(one, registry.id_of("behaviour_event"))
        found.append(RawRecord(*part, offset, one.received_ms, None, value, one.fault == HEARTBEAT))
    return found


def _aligned(records: list[RawRecord]) -> list[Cut]:
    aligner, cuts = Aligner(60_000, 1_000_000), []
    for part in {record.of for record in records}:
        aligner.assign(part, 0)
    for start in range(0, len(records), _CHUNK):
        aligner.add(records[start : start + _CHUNK], 1)
        while (cut := aligner.cut(1, _CUT)) is not None:
            cuts.append(cut)
    return cuts


def _engine(frames: list[Frame], events: int) -> None:
    engine = Engine(0, EngineConfig(b"bench"), Tables())
    outputs: list[Outputs] = []

    def fold() -> None:
        outputs.extend(engine.step(offset, frame) for offset, frame in enumerate(frames))

    tell("engine", **timed(fold, events), persons=len(engine.persons.everyone()))
    changes = engine.tables.take_changes()
    tell("changelog_pack", **timed(lambda: pack(Commit(1, changes)), events), rows=len(changes))
    with TemporaryDirectory() as folder:
        store = RocksStore(Path(folder) / "store")
        tell("store_commit", **timed(lambda: store.commit(changes, Position(1, 1)), events), rows=len(changes))
        store.close()
    resolved: list[bytes] = []
    tell("resolved_encode", **timed(lambda: resolved.extend(encode_resolved(o.resolved) for o in outputs), events))
    tell("resolved_decode", **timed(lambda: list(map(decode_resolved, resolved)), events))


if __name__ == "__main__":
    main()
