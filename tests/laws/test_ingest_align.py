"""Laws of the aligner: whatever came in which chunk, the cuts continue one order and keep the promises of a frame."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.ingest.align import Aligner, Cut
from streams.ingest.record import RawRecord
from streams.journal.frame import Partition

Arrivals = dict[Partition, list[RawRecord]]
Plan = list[tuple[tuple[int, ...], int, int]]

_PARTITIONS = [Partition("events.raw.app", 0), Partition("events.raw.app", 1), Partition("events.raw.order", 0)]
_END_MS = 1000
_LAW = settings(deadline=None)
_PATIENCE_MS = 100


@st.composite
def arrivals(draw: st.DrawFn) -> Arrivals:
    """Records of one to three partitions: gaps in offsets, ties and steps back in time, heartbeats."""
    steps = st.tuples(st.integers(1, 3), st.integers(-3, 4), st.booleans())
    chosen = draw(st.lists(st.sampled_from(_PARTITIONS), min_size=1, unique=True))
    return {partition: _records(partition, draw(st.lists(steps, max_size=12))) for partition in chosen}


def _records(partition: Partition, steps: list[tuple[int, int, bool]]) -> list[RawRecord]:
    records, offset, time_ms = [], -1, 10
    for gap, later, heartbeat in steps:
        offset, time_ms = offset + gap, max(1, time_ms + later)
        records.append(RawRecord(*partition, offset, time_ms, heartbeat=heartbeat))
    return records


def _risen(records: list[RawRecord]) -> list[RawRecord]:
    highest, risen = 0, []
    for record in records:
        highest = max(highest, record.time_ms)
        risen.append(record._replace(time_ms=highest))
    return risen


def plans() -> st.SearchStrategy[Plan]:
    """Steps of (how many records of each partition arrive, how long that takes, the limit of the cut after it)."""
    counts = st.tuples(*(st.integers(0, 4) for _ in _PARTITIONS))
    return st.lists(st.tuples(counts, st.integers(0, 60), st.integers(1, 8)), max_size=10)


def _run(given_records: Arrivals, plan: Plan, patience_ms: int) -> list[Cut]:
    """Feeds chunks as planned with a cut after each, then all the rest, says that all is idle, and cuts to the end."""
    aligner = Aligner(patience_ms, max_records=5)
    for partition in given_records:
        aligner.assign(partition, 0)
    left = {of: list(records) for of, records in given_records.items()}
    cuts: list[Cut | None] = []
    wall_ms = 0
    for counts, step_ms, limit in plan:
        for records, count in zip(left.values(), counts, strict=False):
            aligner.add(records[:count], fetched_ms=wall_ms)
            del records[:count]
        wall_ms += step_ms
        cuts.append(aligner.cut(wall_ms, limit))
    for records in left.values():
        aligner.add(records)
    while True:
        _all_idle(aligner, given_records)
        cuts.append(aligner.cut(wall_ms, 7))
        if cuts[-1] is None:
            return [cut for cut in cuts if cut is not None]


def _all_idle(aligner: Aligner, records: Arrivals) -> None:
    for partition, mine in records.items():
        aligner.idle(partition, mine[-1].offset + 1 if mine else 0, _END_MS)


def _rows(cuts: list[Cut]) -> list[RawRecord]:
    return [record for cut in cuts for record in cut.records]


@_LAW
@given(arrivals(), plans())
def test_with_all_partitions_heard_the_cuts_are_the_records_sorted_whatever_the_chunks(
    records: Arrivals, plan: Plan
) -> None:
    cuts = _run(records, plan, patience_ms=1 << 40)
    everything = [record for of_partition in records.values() for record in _risen(of_partition)]
    assert _rows(cuts) == sorted(everything, key=lambda record: (record.time_ms, *record[:3]))


@_LAW
@given(arrivals(), plans(), st.sampled_from([0, _PATIENCE_MS, 1 << 40]))
def test_ranges_are_contiguous_and_cover_exactly_what_was_added(
    records: Arrivals, plan: Plan, patience_ms: int
) -> None:
    cuts = _run(records, plan, patience_ms)
    marks = dict.fromkeys(records, 0)
    for cut in cuts:
        inside = {part.of: part for part in cut.ranges}
        for part in cut.ranges:
            assert part.start == marks[part.of] <= part.end
            marks[part.of] = part.end
        assert all(inside[record.of].start <= record.offset < inside[record.of].end for record in cut.records)
    assert marks == {of: mine[-1].offset + 1 if mine else 0 for of, mine in records.items()}
    for partition, of_partition in records.items():
        assert [record for record in _rows(cuts) if record.of == partition] == _risen(of_partition)


@_LAW
@given(arrivals(), plans(), st.sampled_from([0, _PATIENCE_MS, 1 << 40]))
def test_received_times_never_fall_within_a_cut(records: Arrivals, plan: Plan, patience_ms: int) -> None:
    for cut in _run(records, plan, patience_ms):
        assert all(a.time_ms <= b.time_ms for a, b in pairwise(cut.records))


@_LAW
@given(arrivals(), plans(), st.sampled_from([0, _PATIENCE_MS, 1 << 40]))
def test_after_a_row_no_partition_of_its_cut_brings_an_earlier_one(
    records: Arrivals, plan: Plan, patience_ms: int
) -> None:
    cuts = _run(records, plan, patience_ms)
    for index, cut in enumerate(cuts):
        inside = {part.of for part in cut.ranges}
        later = [record.time_ms for record in _rows(cuts[index + 1 :]) if record.of in inside]
        if cut.records and later:
            assert cut.records[-1].time_ms <= min(later)


@_LAW
@given(arrivals(), plans(), st.sampled_from([0, _PATIENCE_MS, 1 << 40]))
def test_progress_says_that_no_later_record_of_its_partition_was_received_before(
    records: Arrivals, plan: Plan, patience_ms: int
) -> None:
    cuts = _run(records, plan, patience_ms)
    told: dict[Partition, int] = {}
    for index, cut in enumerate(cuts):
        ends = {part.of: part.end for part in cut.ranges}
        for progress in cut.progress:
            assert progress.offset == ends[progress.of]
            assert progress.time_ms >= told.get(progress.of, 0)
            told[progress.of] = progress.time_ms
            later = [record.time_ms for record in _rows(cuts[index + 1 :]) if record.of == progress.of]
            assert progress.time_ms <= min(later, default=progress.time_ms)
        if cut.records:
            assert max(progress.time_ms for progress in cut.progress) >= cut.records[-1].time_ms
    assert told == dict.fromkeys(records, _END_MS)


@_LAW
@given(arrivals(), plans())
def test_with_all_heard_progress_never_runs_ahead_of_a_row_still_to_come(records: Arrivals, plan: Plan) -> None:
    cuts = _run(records, plan, patience_ms=1 << 40)
    for index, cut in enumerate(cuts):
        furthest = max(progress.time_ms for progress in cut.progress)
        assert all(furthest <= record.time_ms for record in _rows(cuts[index + 1 :]))


@_LAW
@given(arrivals(), plans())
def test_no_cut_exceeds_its_limit(records: Arrivals, plan: Plan) -> None:
    assert all(len(cut.records) <= 8 for cut in _run(records, plan, _PATIENCE_MS))


@_LAW
@given(arrivals(), plans(), st.integers(0, 10))
def test_a_restart_from_the_last_marks_gives_the_rest_in_the_same_order(
    records: Arrivals, plan: Plan, after: int
) -> None:
    risen = {of: _risen(mine) for of, mine in records.items()}
    cuts = _run(risen, plan, 1 << 40)
    marks = dict.fromkeys(records, 0)
    for part in (part for cut in cuts[:after] for part in cut.ranges):
        marks[part.of] = part.end
    aligner = Aligner(1 << 40, 5)
    for partition, mark in marks.items():
        aligner.assign(partition, mark)
        aligner.add(record for record in risen[partition] if record.offset >= mark)
    _all_idle(aligner, risen)
    again = aligner.cut(0, 1 << 20)
    assert (again.records if again else []) == _rows(cuts[after:])
