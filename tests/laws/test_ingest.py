"""Laws of ingest: nothing is lost, nothing counts twice, order holds, and a bad record harms nobody else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.columns import EVENTS, IDS
from streams.ingest.align import Aligner, Cut
from streams.ingest.intake import ENTRY, HEARTBEAT, ROW, Batch
from streams.ingest.record import RawRecord
from streams.ingest.regroup import shard_of
from streams.journal.frame import REFUSAL, Frame, Partition, decode_frame, encode_frame
from tests.unit.ingest.raw import (
    APP,
    COMMANDS,
    CONTROL,
    DELIVERIES,
    NOW_MS,
    POS,
    TENANTS,
    command,
    control,
    delivery,
    event,
    identity,
    intake,
)

_LAW = settings(deadline=None, max_examples=40)


class Sample(NamedTuple):
    """What may stand in a raw topic, and what becomes of it."""

    value: bytes | None
    ends: str
    tenant: str = ""


_IDS = [
    [],
    [identity("uid", "u-1"), identity("phone", "13800138000")],
    [identity("phone", "13800138000"), identity("phone", "+86 138-0013-8000"), identity("openid", "o-1", "wx1")],
    [identity("openid", "o-1"), identity("email", "nobody"), identity("email", " LI@Example.com ")],
]
_EVENTS = [
    Sample(event(tenant=tenant, identities=ids, event_id=f"{tenant}-{at}"), ROW, tenant)
    for tenant in sorted(TENANTS)
    for at, ids in enumerate(_IDS)
]
_BAD_EVENTS = [
    Sample(None, "empty"),
    Sample(b"", "empty"),
    Sample(b"{}", "not_framed"),
    Sample(event()[:-3], "undecodable"),
    Sample(event() + b"\0", "undecodable"),
    Sample(b"\0\0\0\xff\xff" + event()[5:], "unknown_schema_id"),
    Sample(event(tenant="nobody", identities=_IDS[2]), "unknown_tenant"),
    Sample(event(event_type="Page View"), "invalid_event_type"),
    Sample(event(amount_fen=-1, identities=_IDS[2]), "negative_amount"),
    Sample(event(identities=[identity("uid", str(at)) for at in range(21)]), "too_many_identities"),
    Sample(event(order_id="o\n1"), "control_characters"),
]
_OTHERS = {
    DELIVERIES: [
        Sample(delivery(tenant="orchid"), ENTRY, "orchid"),
        Sample(delivery(status="eaten"), "invalid_delivery"),
    ],
    COMMANDS: [
        Sample(command(), ENTRY, "acme"),
        Sample(command(b=None), "invalid_command"),
        Sample(b"x", "not_framed"),
    ],
    CONTROL: [
        Sample(control(), ENTRY, "acme"),
        Sample(control(tenant="*"), ENTRY, "*"),
        Sample(control(text="- no"), "invalid_control"),
    ],
}
_BY_PARTITION = {APP: [*_EVENTS, *_BAD_EVENTS], POS: _EVENTS, **_OTHERS}
_BY_VALUE = {sample.value: sample for samples in _BY_PARTITION.values() for sample in samples}


def _positions() -> st.SearchStrategy[list[tuple[Partition, Sample | None, int]]]:
    """Partition, sample (None: a heartbeat) and time, in order of arrival."""

    def of(partition: Partition) -> st.SearchStrategy[tuple[Partition, Sample | None, int]]:
        sample = st.one_of(st.sampled_from(_BY_PARTITION[partition]), st.none())
        return st.tuples(st.just(partition), sample, st.integers(0, 6))

    return st.lists(st.one_of(*map(of, _BY_PARTITION)), min_size=1, max_size=25)


@st.composite
def cuts(draw: st.DrawFn) -> list[Cut]:
    """All that arrived, aligned and cut by a drawn limit."""
    aligner, offsets = Aligner(1 << 40, 1000), dict.fromkeys(_BY_PARTITION, 0)
    for partition in _BY_PARTITION:
        aligner.assign(partition, 0)
    for partition, sample, later in draw(_positions()):
        value, heartbeat = (sample.value, False) if sample else (None, True)
        time_ms = NOW_MS + later
        aligner.add([RawRecord(*partition, offsets[partition], time_ms, b"key", value, heartbeat)], NOW_MS)
        offsets[partition] += 1
    for partition, offset in offsets.items():
        aligner.idle(partition, offset, NOW_MS + 1000)
    limit = draw(st.integers(4, 30))
    return list(iter(lambda: aligner.cut(0, limit), None))


def _events_of(frame: Frame) -> list[tuple[Partition, int, int]]:
    columns = (frame.events[name].to_pylist() for name in ("source", "raw_offset", "received_ms"))
    return [(frame.ranges[source].of, offset, time_ms) for source, offset, time_ms in zip(*columns, strict=True)]


def _content(frame: Frame) -> list[tuple[object, ...]]:
    """Each row with its ids, without what tells its place in the frame."""
    ids: dict[int, list[object]] = {}
    for one in frame.ids.to_pylist():
        ids.setdefault(one.pop("row"), []).append(tuple(one.values()))
    rows = (tuple(row[name] for name in EVENTS.names if name != "source") for row in frame.events.to_pylist())
    return [(*row, tuple(ids.get(at, ()))) for at, row in enumerate(rows)]


@_LAW
@given(cuts(), st.integers(1, 5))
def test_every_raw_record_ends_exactly_once(given_cuts: list[Cut], shards: int) -> None:
    for cut in given_cuts:
        batch = intake(shards).process(cut)
        ends = _ends(batch)
        assert len(ends) == len(dict(ends))
        expected = {(record.of, record.offset): _expected(record) for record in cut.records}
        assert dict(ends) == {of: end for of, end in expected.items() if end != HEARTBEAT}
        topics = ((expected[record.of, record.offset], record.topic) for record in cut.records)
        assert batch.counts == Counter(topics)


def _expected(record: RawRecord) -> str:
    return HEARTBEAT if record.heartbeat else _BY_VALUE[record.value].ends


def _ends(batch: Batch) -> list[tuple[tuple[Partition, int], str]]:
    """Where each record stands; an entry for every shard counts once."""
    rows = [((of, offset), ROW) for frame in batch.frames.values() for of, offset, _ in _events_of(frame)]
    entries = {
        ((frame.ranges[entry.source].of, entry.raw_offset), ENTRY)
        for frame in batch.frames.values()
        for entry in frame.entries
        if entry.kind != REFUSAL
    }
    dead = [((Partition(one["topic"], one["partition"]), one["offset"]), one["reason"]) for one in batch.dead_letters]
    told = [entry.record for frame in batch.frames.values() for entry in frame.entries if entry.kind == REFUSAL]
    assert sorted(told, key=_place) == sorted(batch.dead_letters, key=_place)
    return [*rows, *entries, *dead]


def _place(letter: Mapping[str, Any]) -> tuple[str, int, int]:
    return letter["topic"], letter["partition"], letter["offset"]


@_LAW
@given(cuts(), st.integers(1, 5))
def test_every_shard_gets_a_frame_with_all_ranges_and_progress_and_only_its_tenants(
    given_cuts: list[Cut], shards: int
) -> None:
    for cut in given_cuts:
        frames = intake(shards).process(cut).frames
        assert list(frames) == list(range(shards))
        for shard, frame in frames.items():
            assert (frame.ranges, frame.progress, frame.fetched_ms) == (cut.ranges, cut.progress, cut.fetched_ms)
            entries = [entry.record["tenant"] for entry in frame.entries if entry.kind != REFUSAL]
            tenants = {*frame.events["tenant"].to_pylist(), *entries}
            assert {shard_of(tenant, shards) for tenant in tenants - {"*"}} <= {shard}
        addressed = sum(_BY_VALUE[record.value].tenant == "*" for record in cut.records if not record.heartbeat)
        everywhere = [sum(entry.record.get("tenant") == "*" for entry in frame.entries) for frame in frames.values()]
        assert everywhere == [addressed] * shards


@_LAW
@given(cuts(), st.integers(1, 5))
def test_rows_and_entries_of_a_frame_stand_in_the_order_of_the_cut(given_cuts: list[Cut], shards: int) -> None:
    for cut in given_cuts:
        order = {(record.of, record.offset, record.time_ms): at for at, record in enumerate(cut.records)}
        for frame in intake(shards).process(cut).frames.values():
            placed = [(row, 1, of) for row, of in enumerate(_events_of(frame))]
            placed += [
                (one.at, 0, (frame.ranges[one.source].of, one.raw_offset, one.received_ms)) for one in frame.entries
            ]
            stands = [order[place] for _, _, place in sorted(placed, key=lambda one: one[:2])]
            assert stands == sorted(stands)


@_LAW
@given(cuts(), st.integers(1, 5))
def test_a_bad_record_never_changes_its_neighbours(given_cuts: list[Cut], shards: int) -> None:
    for cut in given_cuts:
        without = [
            record if _expected(record) in (ROW, ENTRY) else record._replace(value=None, heartbeat=True)
            for record in cut.records
        ]
        with_bad, clean = intake(shards).process(cut), intake(shards).process(cut._replace(records=without))
        assert not clean.dead_letters
        assert {shard: encode_frame(_without_refusals(frame)) for shard, frame in with_bad.frames.items()} == {
            shard: encode_frame(frame) for shard, frame in clean.frames.items()
        }


def _without_refusals(frame: Frame) -> Frame:
    return replace(frame, entries=tuple(entry for entry in frame.entries if entry.kind != REFUSAL))


@_LAW
@given(cuts(), st.integers(1, 5))
def test_an_event_is_the_same_alone_and_among_others_in_one_shard_and_in_many(
    given_cuts: list[Cut], shards: int
) -> None:
    for cut in given_cuts:
        together = [row for frame in intake(shards).process(cut).frames.values() for row in _content(frame)]
        single = (intake().process(cut._replace(records=[record])).frames[0] for record in cut.records)
        assert sorted(together, key=repr) == sorted((row for frame in single for row in _content(frame)), key=repr)


@_LAW
@given(cuts(), st.integers(1, 5))
def test_frames_keep_their_schemas_and_survive_the_journal(given_cuts: list[Cut], shards: int) -> None:
    for cut in given_cuts:
        for frame in intake(shards).process(cut).frames.values():
            assert (frame.events.schema, frame.ids.schema) == (EVENTS, IDS)
            frame.events.validate(full=True)
            again = decode_frame(encode_frame(frame))
            assert again.events.equals(frame.events)
            assert again.ids.equals(frame.ids)
            assert again.entries == frame.entries


def test_a_topic_that_ingest_does_not_know_is_our_fault() -> None:
    record = RawRecord("weather", 0, 0, NOW_MS, None, b"rain")
    aligner = Aligner(1000, 1000)
    aligner.assign(record.of, 0)
    aligner.add([record])
    cut = aligner.cut(0, 10)
    assert cut is not None
    with pytest.raises(ValueError, match="weather"):
        intake().process(cut)
