"""Which waits are held back by which source: the furthest source has passed their time, and that one has not."""

from __future__ import annotations

from pathlib import Path

from streams.engine import Engine, EngineConfig, Outputs
from streams.journal.clock import ALL, Clock
from streams.journal.frame import Frame, Partition, Progress, RawRange, no_events, no_ids
from streams.journal.tables import Tables
from streams.rules.held import held
from streams.rules.timers import NOW, Timers
from tests.support.frames import APP, CONTROL, ORDERS, SALT, Ev, Journal, Said, sources
from tests.support.journals import rules

POS = Partition("events.raw.pos", 0)
HOUR = 3_600_000
NOON = 1_700_020_800_000
RULE = (Path(__file__).parents[3] / "deploy" / "rules" / "unpaid-order-coupon.yaml").read_text()


def clock_of(**progress: int) -> Clock:
    """A clock over sources that have been read so far, with one group over all and one of `order` alone."""
    clock = Clock(Tables())
    clock.watch("events.raw.order")
    members = [Partition(f"events.raw.{name}", 0) for name in progress]
    clock.declare([(member, 0) for member in members])
    reached = tuple(Progress(*member, 0, time) for member, time in zip(members, progress.values(), strict=True))
    frame = Frame(tuple(RawRange(*member, 0, 0) for member in members), no_events(), no_ids(), (), reached)
    clock.begin(frame)
    clock.end(frame)
    return clock


def timers_of(*rows: tuple[str, int, str]) -> Timers:
    timers = Timers(Tables())
    for key, due_ms, group in rows:
        timers.set(f"t1\x1f{key}", due_ms, 100, group)
    return timers


def test_a_wait_is_held_by_each_source_that_has_not_passed_it() -> None:
    timers = timers_of(("r\x1f1", 100, ALL), ("r\x1f2", 150, ALL), ("s\x1f1", 150, ALL), ("r\x1flater", 900, ALL))
    assert held(timers, clock_of(order=500, pos=100, app=120)) == {
        ("r", "events.raw.pos/0"): 2,
        ("s", "events.raw.pos/0"): 1,
        ("r", "events.raw.app/0"): 1,
        ("s", "events.raw.app/0"): 1,
    }


def test_only_sources_that_the_rule_waits_for_hold_it() -> None:
    assert not held(timers_of(("r\x1f1", 100, "events.raw.order")), clock_of(order=500, pos=50))


def test_what_is_due_on_deliverys_now_waits_for_nobody() -> None:
    assert not held(timers_of(("r\x1f1", 600, NOW)), clock_of(order=500, pos=50))


def test_a_source_that_was_never_heard_of_holds_all() -> None:
    assert held(timers_of(("r\x1f1", 100, ALL)), clock_of(order=500, pos=0)) == {("r", "events.raw.pos/0"): 1}


def test_a_timer_that_was_set_anew_counts_once_and_with_its_last_time() -> None:
    timers = timers_of(*[("r\x1f1", due, ALL) for due in (100, 700, 150, 150)])
    assert held(timers, clock_of(order=500, pos=50)) == {("r", "events.raw.pos/0"): 1}
    timers.set("t1\x1fr\x1f1", 700, 100, ALL)
    assert not held(timers, clock_of(order=500, pos=50))


def test_with_one_source_held_back_the_rule_waits_and_fires_with_the_first_progress_past_the_deadline() -> None:
    together = (ORDERS, APP, CONTROL)
    fold = Engine(0, EngineConfig(SALT), Tables())
    journal = Journal().lane(together, [Said(NOON, "control", each) for each in OPENING])
    journal.lane(together, [Ev(NOON, "order_submitted", (("phone", "", "+8613912345678"),), "o1")])
    journal.lane(together, [], dict.fromkeys(together, NOON + 5 * HOUR))
    assert [_decided(fold.step(at, frame)) for at, frame in enumerate(journal.frames)] == [[], [], []]
    assert held(fold.engage.timers, fold.clock) == {("unpaid-order-coupon", "events.raw.pos/0"): 1}
    journal.lane((POS,), [], {POS: NOON + HOUR}).lane((POS,), [], {POS: NOON + HOUR + 1})
    assert _decided(fold.step(3, journal.frames[3])) == []
    assert _decided(fold.step(4, journal.frames[4])) == [NOON + 5 * HOUR]
    assert not held(fold.engage.timers, fold.clock)


OPENING = (sources(ORDERS, APP, POS), rules("*", RULE.replace("waits_for: [order, miniprogram, h5]", "waits_for: []")))


def _decided(outputs: Outputs) -> list[int]:
    return [public.record["decided_time"] for public in outputs.public if public.subject == "decision"]
