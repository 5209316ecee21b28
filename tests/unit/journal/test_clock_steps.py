"""What moves a clock, what holds it, and what it keeps."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from streams.journal.clock import ALL, Clock, MissingRange
from streams.journal.frame import Frame, Partition, Progress, RawRange, no_events, no_ids
from streams.journal.tables import Tables

ORDER, POS = Partition("events.raw.order", 0), Partition("events.raw.pos", 0)
RECEIPTS = Partition("deliveries", 0)


def frame(ends: Mapping[Partition, tuple[int, int]], told: Mapping[Partition, tuple[int, int]] | None = None) -> Frame:
    """Ranges by partition, and progress as (offset, time)."""
    ranges = tuple(RawRange(*part, *span) for part, span in ends.items())
    return Frame(ranges, no_events(), no_ids(), (), tuple(Progress(*part, *at) for part, at in (told or {}).items()))


def take(clock: Clock, given: Frame, *rows: int) -> None:
    clock.begin(given)
    for received in rows:
        clock.row(received)
    clock.end(given)


def members(*parts: Partition) -> Clock:
    clock = Clock(Tables())
    clock.declare([(part, 0) for part in parts])
    return clock


def test_a_member_not_yet_heard_of_holds_the_clock_at_nothing() -> None:
    clock = members(ORDER, POS)
    take(clock, frame({ORDER: (0, 1)}), 50)
    assert (clock.of(ALL), clock.now) == (0, 50)
    assert clock.waiting_for(ALL) == ["events.raw.pos/0", "events.raw.order/0"]


def test_a_row_moves_the_clock_while_its_frame_is_open() -> None:
    clock = members(ORDER)
    clock.begin(frame({ORDER: (0, 2)}))
    clock.row(50)
    assert clock.of(ALL) == 50


def test_a_row_moves_the_clock_up_to_the_slowest_source_outside_its_frame() -> None:
    clock = members(ORDER, POS)
    take(clock, frame({POS: (0, 1)}), 30)
    take(clock, frame({ORDER: (0, 1)}), 50)
    assert clock.of(ALL) == 30


def test_receipts_and_commands_never_hold_the_clock_but_move_now() -> None:
    clock = members(ORDER, RECEIPTS)
    take(clock, frame({ORDER: (0, 1)}), 50)
    assert clock.of(ALL) == 50
    take(clock, frame({RECEIPTS: (0, 1)}), 90)
    assert (clock.of(ALL), clock.now) == (50, 90)


@pytest.mark.parametrize(("offset", "clock_ms"), [(2, 80), (3, 80), (4, 50)])
def test_progress_counts_once_everything_below_its_offset_is_in(offset: int, clock_ms: int) -> None:
    clock = members(ORDER)
    take(clock, frame({ORDER: (0, 3)}, {ORDER: (offset, 80)}), 50)
    assert clock.of(ALL) == clock.now == clock_ms


def test_stale_progress_takes_nothing_back() -> None:
    clock = members(ORDER)
    take(clock, frame({ORDER: (0, 3)}, {ORDER: (3, 80)}), 50)
    take(clock, frame({ORDER: (0, 3)}, {ORDER: (3, 60)}))
    assert clock.of(ALL) == clock.now == 80
    assert clock.marks() == {"events.raw.order/0": 3}


def test_a_slow_source_that_joins_holds_the_clock_where_it_stands() -> None:
    clock = members(ORDER)
    take(clock, frame({ORDER: (0, 1)}), 50)
    clock.declare([(ORDER, 0), (POS, 0)])
    assert clock.of(ALL) == 50
    take(clock, frame({ORDER: (1, 2)}), 70)
    assert clock.of(ALL) == 50


def test_a_slow_source_that_joins_in_an_open_frame_takes_nothing_back() -> None:
    clock = members(ORDER)
    given = frame({ORDER: (0, 2)})
    clock.begin(given)
    clock.row(50)
    clock.declare([(ORDER, 0), (POS, 0)])
    clock.row(70)
    assert clock.of(ALL) == 50
    clock.end(given)
    assert clock.of(ALL) == 50


def test_a_restored_clock_stands_where_it_stood_though_a_slow_source_has_joined() -> None:
    tables = Tables()
    clock = Clock(tables)
    clock.declare([(ORDER, 0)])
    take(clock, frame({ORDER: (0, 1)}), 50)
    clock.declare([(ORDER, 0), (POS, 0)])
    take(clock, frame({ORDER: (1, 1)}))
    restored = Clock(Tables(tables.rows()))
    assert (restored.of(ALL), restored.now) == (50, 50)


def test_a_source_that_leaves_lets_the_clock_go_on() -> None:
    clock = members(ORDER, POS)
    take(clock, frame({ORDER: (0, 1)}), 50)
    clock.declare([(ORDER, 0)])
    take(clock, frame({ORDER: (1, 1)}))
    assert clock.of(ALL) == 50


def test_without_any_member_the_clock_stands() -> None:
    clock = members(ORDER)
    take(clock, frame({ORDER: (0, 1)}), 50)
    clock.declare([])
    take(clock, frame({ORDER: (1, 2)}), 70)
    assert clock.of(ALL) == 50


def test_the_start_of_a_member_is_its_mark_and_a_known_mark_stays() -> None:
    clock = members(ORDER)
    take(clock, frame({ORDER: (0, 5)}))
    clock.declare([(ORDER, 2), (POS, 7)])
    assert clock.marks() == {"events.raw.order/0": 5, "events.raw.pos/0": 7}
    assert clock.begin(frame({ORDER: (3, 6), POS: (7, 7)})) == [5, 7]


def test_a_range_above_its_mark_names_what_is_missing() -> None:
    clock = members(ORDER)
    take(clock, frame({ORDER: (0, 5)}))
    with pytest.raises(MissingRange, match=r"raw offsets 5 to 5 of events\.raw\.order/0 are missing") as told:
        clock.begin(frame({ORDER: (6, 9)}))
    assert told.value.gap == RawRange(*ORDER, 5, 6)


def test_a_group_has_the_clock_of_its_own_topics() -> None:
    clock = members(ORDER, POS)
    clock.watch("events.raw.order")
    take(clock, frame({ORDER: (0, 1)}), 50)
    assert (clock.of("events.raw.order"), clock.of(ALL)) == (50, 0)
