"""Timers come due once the clock of their group has passed them, in the settled order."""

from __future__ import annotations

from streams.journal.clock import ALL, Clock
from streams.journal.frame import Frame, Partition, Progress, RawRange, no_events, no_ids
from streams.journal.tables import Tables
from streams.rules.timers import NOW, Timers, patient

ORDER, POS = Partition("events.raw.order", 0), Partition("events.raw.pos", 0)
OF_ORDER = "events.raw.order"


def at(order_ms: int, pos_ms: int = 1 << 40) -> Clock:
    clock = Clock(Tables())
    clock.watch(OF_ORDER)
    clock.declare([(ORDER, 0), (POS, 0)])
    ranges = tuple(RawRange(*part, 0, 0) for part in (ORDER, POS))
    frame = Frame(ranges, no_events(), no_ids(), (), (Progress(*ORDER, 0, order_ms), Progress(*POS, 0, pos_ms)))
    clock.begin(frame)
    clock.end(frame)
    return clock


def test_a_timer_is_due_when_the_clock_has_passed_it_not_when_it_is_reached() -> None:
    timers = Timers(Tables())
    timers.set("k", 100, 0, ALL)
    assert list(timers.due(at(100))) == []
    assert list(timers.due(at(101))) == ["k"]
    assert list(timers.due(at(102))) == []


def test_due_time_goes_before_priority_and_priority_before_key_over_all_groups() -> None:
    timers = Timers(Tables())
    for key, due, priority, group in [("c", 2, 1, ALL), ("b", 2, 1, OF_ORDER), ("a", 2, 2, ALL), ("z", 1, 9, OF_ORDER)]:
        timers.set(key, due, priority, group)
    assert list(timers.due(at(50))) == ["z", "b", "c", "a"]


def test_the_last_time_set_counts_earlier_or_later() -> None:
    timers = Timers(Tables())
    for key, times in {"sooner": (50, 10), "later": (10, 50)}.items():
        for due in times:
            timers.set(key, due, 0, ALL)
    assert list(timers.due(at(20))) == ["sooner"]
    assert list(timers.due(at(60))) == ["later"]


def test_a_timer_that_was_set_back_is_due_once() -> None:
    timers = Timers(Tables())
    for due in (30, 10, 30):
        timers.set("k", due, 0, ALL)
    assert list(timers.due(at(20))) == []
    assert list(timers.due(at(40))) == ["k"]
    assert len(timers) == 0


def test_a_timer_that_moved_to_another_group_waits_for_that_group() -> None:
    timers = Timers(Tables())
    timers.set("k", 10, 0, OF_ORDER)
    timers.set("k", 10, 0, ALL)
    assert list(timers.due(at(50, pos_ms=5))) == []
    assert list(timers.due(at(50, pos_ms=11))) == ["k"]


def test_each_group_has_its_own_clock() -> None:
    timers = Timers(Tables())
    timers.set("all", 10, 0, ALL)
    timers.set("order", 10, 0, OF_ORDER)
    assert list(timers.due(at(50, pos_ms=5))) == ["order"]


def test_a_timer_set_while_others_come_due_comes_in_the_same_call() -> None:
    timers = Timers(Tables())
    timers.set("first", 10, 0, ALL)
    came = []
    for key in timers.due(at(50)):
        came.append(key)
        if key == "first":
            timers.set("second", 20, 0, ALL)
    assert came == ["first", "second"]


def test_restored_timers_come_due_in_the_same_order() -> None:
    tables = Tables()
    timers = Timers(tables)
    for key, due in [("a", 30), ("b", 20), ("c", 10), ("b", 40)]:
        timers.set(key, due, 0, ALL)
    assert list(Timers(Tables(tables.rows())).due(at(99))) == list(timers.due(at(99))) == ["c", "a", "b"]


def test_nothing_is_due_before_the_next_time_that_is_told() -> None:
    timers = Timers(Tables())
    for key, due in [("a", 30), ("b", 20)]:
        timers.set(key, due, 0, ALL)
    assert timers.next_ms == 20
    list(timers.due(at(25)))
    assert timers.next_ms == 30


def test_a_timer_on_deliverys_now_is_due_when_that_has_reached_it() -> None:
    timers = Timers(Tables())
    timers.set("k", 100, 0, NOW)
    assert timers.next_ms == 99
    assert list(timers.due(at(50, 99))) == []
    assert list(timers.due(at(50, 100))) == ["k"]


def test_a_timer_that_is_set_to_what_it_is_takes_no_room_again() -> None:
    timers = Timers(Tables())
    for _ in range(1_000):
        timers.set("k", 10, 0, ALL)
    assert sum(map(len, timers._heaps.values())) == 1
    assert list(timers.due(at(11))) == ["k"]


def test_a_patient_group_is_due_when_its_clock_has_passed_or_now_has_reached_it_and_its_patience() -> None:
    for passed, order_ms, pos_ms in ((False, 100, 149), (True, 100, 150), (True, 101, 101)):
        timers = Timers(Tables())
        timers.set("k", 100, 0, patient(OF_ORDER, 50))
        assert list(timers.due(at(order_ms, pos_ms))) == ["k"] * passed
    assert patient(ALL, None) == ALL


def test_waits_of_a_patient_group_are_among_those_of_its_sources() -> None:
    timers = Timers(Tables())
    timers.set("k", 100, 0, patient(OF_ORDER, 50))
    timers.set("l", 100, 0, OF_ORDER)
    timers.set("m", 100, 0, ALL)
    assert sorted(timers.before(OF_ORDER, 101)) == [(100, "k"), (100, "l")]
