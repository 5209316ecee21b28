"""A cut too big for one journal record is journaled as several, which say the same."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streams.ingest.align import Cut
from streams.ingest.record import RawRecord
from streams.journal.frame import Partition, Progress, RawRange
from streams.worker.ingest import parts
from tests.support.profiles import law

A, B = Partition("events.raw.app", 0), Partition("events.raw.app", 1)


@st.composite
def cuts(draw: st.DrawFn) -> Cut:
    """Records of two partitions in receive order, offsets with gaps, and values of any size."""
    at = {A: 10, B: 20}
    records: list[RawRecord] = []
    for time_ms, part in enumerate(draw(st.lists(st.sampled_from([A, B]), max_size=12))):
        offset = at[part] + draw(st.integers(0, 2))
        at[part] = offset + 1
        records.append(RawRecord(*part, offset, time_ms, None, draw(st.none() | st.binary(max_size=9))))
    ends = {part: end + draw(st.integers(0, 2)) for part, end in at.items()}
    ranges = (RawRange(*A, 10, ends[A]), RawRange(*B, 20, ends[B]))
    return Cut(records, ranges, (Progress(*A, ends[A], 99), Progress(*B, ends[B], 99)), 7)


@law
@given(cuts(), st.integers(1, 20))
def test_parts_hold_every_record_once_in_order_and_none_is_too_big(cut: Cut, max_bytes: int) -> None:
    made = list(parts(cut, max_bytes))
    assert [record for part in made for record in part.records] == cut.records
    for part in made:
        assert len(part.records) <= 1 or sum(len(record.value or b"") for record in part.records) <= max_bytes


@law
@given(cuts(), st.integers(1, 20))
def test_ranges_of_parts_join_without_a_gap_and_hold_their_records(cut: Cut, max_bytes: int) -> None:
    made = list(parts(cut, max_bytes))
    for number, whole in enumerate(cut.ranges):
        ranges = [part.ranges[number] for part in made]
        assert [ranges[0].start, *(part.end for part in ranges)] == [*(part.start for part in ranges), whole.end]
        for part, held in zip(made, ranges, strict=True):
            assert all(held.start <= record.offset < held.end for record in part.records if record.of == whole.of)


@law
@given(cuts(), st.integers(1, 20))
def test_only_the_last_part_tells_progress(cut: Cut, max_bytes: int) -> None:
    *before, last = parts(cut, max_bytes)
    assert last.progress == cut.progress
    assert not any(part.progress for part in before)


@law
@given(cuts())
def test_a_cut_that_fits_stays_as_it_is(cut: Cut) -> None:
    assert list(parts(cut, 1 << 20)) == [cut]
