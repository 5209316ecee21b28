"""The aligner, turned by hand."""

from __future__ import annotations

import pytest

from streams.ingest.align import Aligner, Cut
from streams.ingest.record import RawRecord
from streams.journal.frame import Partition, Progress, RawRange

A = Partition("events.raw.app", 0)
B = Partition("events.raw.pos", 0)
PATIENCE_MS = 100


def _aligner(*partitions: Partition, max_records: int = 100) -> Aligner:
    aligner = Aligner(PATIENCE_MS, max_records)
    for partition in partitions:
        aligner.assign(partition, 0)
    return aligner


def _records(partition: Partition, *times: int, start: int = 0) -> list[RawRecord]:
    return [RawRecord(*partition, start + at, time_ms) for at, time_ms in enumerate(times)]


def _taken(cut: Cut | None) -> list[tuple[str, int]]:
    return [(record.topic, record.time_ms) for record in cut.records] if cut else []


def _progress(cut: Cut | None) -> dict[Partition, tuple[int, int]]:
    return {one.of: (one.offset, one.time_ms) for one in cut.progress} if cut else {}


def test_a_partition_that_was_not_heard_of_holds_the_others() -> None:
    aligner = _aligner(A, B)
    aligner.add(_records(A, 10, 20))
    assert aligner.cut(0, 10) is None


def test_records_are_taken_up_to_what_the_slowest_partition_has_reached() -> None:
    aligner = _aligner(A, B)
    aligner.add([*_records(A, 10, 20, 40), *_records(B, 15, 30)])
    cut = aligner.cut(0, 10)
    assert _taken(cut) == [(A.topic, 10), (B.topic, 15), (A.topic, 20), (B.topic, 30)]
    assert _progress(cut) == {A: (2, 30), B: (2, 30)}


def test_a_tie_is_taken_only_where_nothing_can_come_to_stand_before_it() -> None:
    aligner = _aligner(A, B)
    aligner.add([*_records(A, 10), *_records(B, 10)])
    assert _taken(aligner.cut(0, 10)) == [(A.topic, 10)]
    aligner.add(_records(A, 10, 11, start=1))
    assert _taken(aligner.cut(0, 10)) == [(A.topic, 10), (B.topic, 10)]


def test_a_tie_with_a_later_partition_is_taken_though_more_may_come_behind_it() -> None:
    aligner = _aligner(A, B)
    aligner.add([*_records(A, 10, 11), *_records(B, 10)])
    assert _taken(aligner.cut(0, 10)) == [(A.topic, 10), (B.topic, 10)]


def test_a_cut_by_limit_promises_no_more_than_its_next_record() -> None:
    aligner = _aligner(A, B)
    aligner.add([*_records(A, 10, 20, 30), *_records(B, 15, 30)])
    cut = aligner.cut(0, 2)
    assert _taken(cut) == [(A.topic, 10), (B.topic, 15)]
    assert _progress(cut) == {A: (1, 20), B: (1, 20)}


def test_a_time_that_falls_is_raised_to_the_highest_before_it() -> None:
    aligner = _aligner(A)
    aligner.add(_records(A, 10, 5))
    aligner.add(_records(A, 7, 12, start=2))
    assert [time_ms for _, time_ms in _taken(aligner.cut(0, 10))] == [10, 10, 10, 12]


def test_times_do_not_fall_below_what_was_reached_before_a_restart() -> None:
    aligner = Aligner(PATIENCE_MS, 100)
    aligner.assign(A, 5, reached_ms=50)
    aligner.add(_records(A, 40, start=5))
    assert _taken(aligner.cut(0, 10)) == [(A.topic, 50)]


def test_news_of_an_idle_partition_moves_progress_without_records() -> None:
    aligner = _aligner(A)
    aligner.idle(A, 0, 70)
    assert aligner.cut(0, 10) == Cut([], (RawRange(*A, 0, 0),), (Progress(*A, 0, 70),), 0)
    assert aligner.cut(1, 10) is None


def test_stale_news_of_an_end_that_was_passed_is_dropped() -> None:
    aligner = _aligner(A)
    aligner.add(_records(A, 10, 20))
    aligner.idle(A, 1, 70)
    assert _progress(aligner.cut(0, 10)) == {A: (2, 20)}


def test_an_end_behind_a_gap_moves_the_range_over_the_gap() -> None:
    aligner = _aligner(A)
    aligner.add(_records(A, 10, start=3))
    aligner.idle(A, 6, 10)
    cut = aligner.cut(0, 10)
    assert cut is not None
    assert cut.ranges == (RawRange(*A, 0, 6),)


def test_a_silent_partition_is_left_out_after_the_patience_and_waited_for_when_it_speaks_again() -> None:
    aligner = _aligner(A, B)
    aligner.add(_records(A, 10))
    assert aligner.cut(0, 10) is None
    assert aligner.cut(PATIENCE_MS - 1, 10) is None
    alone = aligner.cut(PATIENCE_MS, 10)
    assert alone is not None
    assert [part.of for part in alone.ranges] == [A]
    aligner.add([*_records(A, 30, start=1), *_records(B, 5, 6)])
    both = aligner.cut(PATIENCE_MS, 10)
    assert _taken(both) == [(B.topic, 5), (B.topic, 6)]
    assert _progress(both) == {A: (1, 10), B: (2, 6)}


def test_patience_does_not_run_while_records_are_held() -> None:
    aligner = _aligner(A, B)
    aligner.add([*_records(A, 10, 20), *_records(B, 30)])
    assert _taken(aligner.cut(0, 10)) == [(A.topic, 10), (A.topic, 20)]
    assert aligner.cut(PATIENCE_MS - 1, 10) is None
    cut = aligner.cut(PATIENCE_MS, 10)
    assert _taken(cut) == [(B.topic, 30)]
    aligner.add(_records(A, 31, start=2))
    assert _taken(aligner.cut(2 * PATIENCE_MS - 1, 10)) == []


def test_a_partition_that_holds_more_than_its_share_should_pause() -> None:
    aligner = _aligner(A, B, max_records=2)
    aligner.add(_records(A, 10, 20, 30))
    assert aligner.paused() == {A}
    aligner.idle(B, 0, 15)
    aligner.cut(0, 10)
    assert aligner.paused() == set()


def test_a_revoked_partition_holds_nobody_and_its_late_records_are_ignored() -> None:
    aligner = _aligner(A, B)
    aligner.add(_records(A, 10))
    aligner.revoke(B)
    aligner.add(_records(B, 5))
    aligner.idle(B, 7, 9)
    assert _taken(aligner.cut(0, 10)) == [(A.topic, 10)]


def test_an_offset_that_was_read_before_is_our_fault() -> None:
    aligner = _aligner(A)
    aligner.add(_records(A, 10, 20))
    with pytest.raises(ValueError, match="gave offset 1, but everything below 2 was read already"):
        aligner.add(_records(A, 20, start=1))


def test_a_cut_tells_when_its_oldest_record_was_fetched() -> None:
    aligner = _aligner(A, B)
    aligner.add(_records(A, 10, 20), fetched_ms=1000)
    aligner.add(_records(B, 10, 30), fetched_ms=1007)
    aligner.add(_records(A, 25, start=2), fetched_ms=1015)
    first, rest = aligner.cut(1020, 3), aligner.cut(1030, 10)
    assert first is not None
    assert rest is not None
    assert (first.fetched_ms, rest.fetched_ms) == (1000, 1015)
