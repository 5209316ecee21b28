"""The generator as a source: the same each time, in order of receipt, with heartbeats, as JSON lines.

In: small runs. Out: verdicts. Never: asks what the events mean (test_traffic_truth does).
"""

import json
import subprocess
import sys
import time
from collections import Counter
from hashlib import sha256
from itertools import pairwise
from pathlib import Path

import pytest

from bench.traffic import BYTE_FAULTS, SOURCES, Sent, TrafficSpec, plan, write_jsonl

SMALL = TrafficSpec(people=60, events_per_person=20, days=1.5)
FIELDS = (
    *("event_id", "tenant", "event_type", "event_time", "touchpoint", "scene", "channel", "campaign"),
    *("identities", "order_id", "amount_fen", "item_id", "category", "referrer", "properties"),
)
PIPELINE = {"streams", "schemas", "sinks"}


def beats(sents: list[Sent]) -> list[Sent]:
    return [sent for sent in sents if sent.fault == "heartbeat"]


def digest(spec: TrafficSpec) -> str:
    """A hash over all records of a run."""
    text = json.dumps([[s.received_ms, s.topic, s.partition, s.event, s.fault] for s in plan(spec)])
    return sha256(text.encode()).hexdigest()


def test_two_plans_and_two_iterations_are_equal() -> None:
    one, other = plan(SMALL), plan(SMALL)
    assert list(one) == list(one) == list(other)
    assert one.truth == other.truth


def test_another_process_with_another_hash_seed_gives_the_same_bytes() -> None:
    code = f"import runpy; print(runpy.run_path({__file__!r})['digest'](__import__('bench.traffic').traffic.{SMALL}))"
    command = [sys.executable, "-c", code]
    for hash_seed in ("1", "2"):
        done = subprocess.run(command, env={"PYTHONHASHSEED": hash_seed}, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == digest(SMALL)


def test_another_seed_gives_other_traffic() -> None:
    other = TrafficSpec(people=60, events_per_person=20, days=1.5, seed=8)
    assert plan(SMALL).truth.persons != plan(other).truth.persons


def test_receipt_times_never_go_back_and_lateness_does() -> None:
    sents = list(plan(SMALL))
    assert all(before.received_ms <= after.received_ms for before, after in pairwise(sents))
    times = [sent.event["event_time"] for sent in sents if sent.event and not sent.fault]
    assert any(before > after for before, after in pairwise(times))


def test_an_event_has_every_field_of_the_contract_and_survives_json() -> None:
    for sent in plan(SMALL):
        if sent.event is not None:
            assert tuple(sent.event) == FIELDS
            assert json.loads(json.dumps(sent.event)) == sent.event


def test_records_go_to_the_topics_and_partitions_that_heartbeats_cover() -> None:
    sents = list(plan(SMALL))
    covered = {(sent.topic, sent.partition) for sent in beats(sents)}
    assert covered == {(f"events.raw.{source}", n) for source in SOURCES for n in range(SMALL.partitions)}
    assert {(sent.topic, sent.partition) for sent in sents} == covered


def test_each_partition_beats_every_five_minutes_and_in_the_tail_every_ten_until_all_is_decided() -> None:
    sents = list(plan(SMALL))
    last_ms = max(sent.received_ms for sent in sents if sent.event is not None)
    at = [s.received_ms for s in beats(sents) if (s.topic, s.partition) == ("events.raw.pos", 1)]
    assert at[0] == SMALL.start_ms
    assert {b - a for a, b in pairwise(at) if b <= last_ms} == {300_000}
    assert max(b - a for a, b in pairwise(at)) <= 600_000
    assert at[-1] >= last_ms + SMALL.wait_ms + SMALL.expiry_ms + 7_200_000


def test_faults_of_bytes_are_left_to_the_player() -> None:
    faults = Counter(sent.fault for sent in plan(SMALL) if sent.fault not in ("", "heartbeat"))
    assert set(faults) == set(BYTE_FAULTS)


def test_volume_follows_the_knob() -> None:
    traffic = plan(TrafficSpec(people=50, events_per_person=100))
    refused = traffic.truth.refused.total()
    assert traffic.events == sum(sent.event is not None for sent in traffic)
    assert 5000 <= traffic.truth.accepted + traffic.truth.duplicates + refused < 5200


@pytest.mark.parametrize(
    "spec",
    [
        TrafficSpec(people=2, tenants=("solo",)),
        TrafficSpec(people=30, days=0.01),
        TrafficSpec(people=40, partitions=1, wait_ms=60_000, expiry_ms=3_600_000),
        TrafficSpec(people=20, tenants=tuple(f"brand_{n}" for n in range(10)), days=20),
    ],
)
def test_unusual_specs_still_give_consistent_traffic(spec: TrafficSpec) -> None:
    traffic = plan(spec)
    assert sum(sent.event is not None for sent in traffic) == traffic.events
    assert sum(map(len, traffic.truth.persons.values())) == spec.people


@pytest.mark.parametrize("wrong", [{"people": 3}, {"tenants": ()}, {"wait_ms": 1000}, {"days": 0}, {"partitions": 0}])
def test_a_spec_that_cannot_be_planned_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="traffic needs"):
        TrafficSpec(**wrong)  # type: ignore[arg-type]


def test_json_lines_hold_all_events_but_faulty_bytes_in_order_of_receipt(tmp_path: Path) -> None:
    traffic, path = plan(SMALL), tmp_path / "events.jsonl"
    lines = write_jsonl(traffic, path)
    events = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    broken = sum(traffic.truth.refused[reason] for reason in BYTE_FAULTS.values())
    assert lines == len(events) == traffic.events - broken
    assert [e["received_ms"] for e in events] == sorted(e["received_ms"] for e in events)
    assert all(set(e) == {*FIELDS, "received_ms", "source"} for e in events)
    assert {e["source"] for e in events} <= set(SOURCES)


def test_the_command_writes_a_file_and_sums_up_the_truth(tmp_path: Path) -> None:
    out = tmp_path / "events.jsonl"
    command = [sys.executable, "-m", "bench.traffic", "--people", "50", "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    summary = json.loads(done.stdout)
    assert summary["lines"] == len(out.read_text(encoding="utf-8").splitlines())
    assert summary["fires"] == len(plan(TrafficSpec(people=50)).truth.fires)


def test_the_oracle_imports_nothing_of_the_pipeline() -> None:
    code = "import sys, bench.traffic; print(*{name.split('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert PIPELINE.isdisjoint(done.stdout.split())


def test_speed_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    began = time.process_time()
    traffic = plan(TrafficSpec(people=500, events_per_person=100))
    planned = time.process_time()
    records = sum(1 for _ in traffic)
    rate = records / (time.process_time() - planned)
    with capsys.disabled():
        print(f"\ntraffic: planned 500 people in {planned - began:.2f} s CPU, {rate:,.0f} records/s CPU")
