"""Rebuilt tables over chDB and a real ClickHouse: whole or not there, and who wrote the old ones goes on in them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

from sinks import audit, ledger, rebuild, swap
from sinks.rebuild import NotWhole, Rebuild
from sinks.sink import Database, SinkUnavailable
from sinks.writer import AnotherWriter, BlockWriter, TablesRebuilt
from tests.contracts.rebuilding import GIVEN, SMALL, left_behind, rebuilt, swapped, writer, written
from tests.unit.sinks.interrupted import How, Interrupted
from tests.unit.sinks.reading import facts
from tests.unit.sinks.resolved import frames, rows_of

NOBODYS = 999
"""A block that no ledger knows."""


def assert_rollups_are_sums_of_facts(live: Database) -> None:
    """Every roll-up beside the same by SQL over the facts."""
    keys = "tenant, minute, touchpoint, event_type"
    sums = f"SELECT {keys}, events, amount_fen FROM siyu.touchpoint_minute"
    facts_of = "SELECT tenant, toStartOfMinute(event_time) AS minute, touchpoint, event_type"
    counted = f"{facts_of}, count(), sum(ifNull(amount_fen, 0)) FROM siyu.events GROUP BY {keys}"
    assert sorted(live.query(sums).rows) == sorted(live.query(counted).rows)


def test_rebuilt_tables_hold_what_the_frames_bring_whatever_the_old_ones_held(live: Database) -> None:
    expected = written(live, GIVEN)
    live.remove("events", {"journal_offset": 4})
    live.insert("events", _stray())
    swapped(live, GIVEN)
    assert facts(live, 0) == expected
    assert_rollups_are_sums_of_facts(live)
    assert writer(live).position() == 15


def _stray() -> pa.RecordBatch:
    """A row that no block brought."""
    row = rows_of("events", {"event_id": "nobody's"}).select(["event_id", "tenant"])
    return row.append_column("shard", pa.array([0], pa.uint16())).append_column(
        "block", pa.array([NOBODYS], pa.uint64())
    )


def test_who_wrote_the_old_tables_goes_on_in_the_fresh_ones(live: Database) -> None:
    old = writer(live)
    old.write(GIVEN[:6])
    swapped(live, GIVEN[:4])
    with pytest.raises(TablesRebuilt):
        old.write(GIVEN[6:])
    assert old.position() == 7
    old.write(GIVEN[4:])
    assert facts(live, 0) == written(live, frames(8, 5, shard=1), 1)
    assert_rollups_are_sums_of_facts(live)


def test_who_has_nothing_to_write_sees_too_that_the_fresh_tables_lack_something(live: Database) -> None:
    old = writer(live)
    old.write(GIVEN[:6])
    empty = replace(GIVEN[6], tables={})
    assert old.write([empty]).rows == 0
    swapped(live, GIVEN[:4])
    with pytest.raises(TablesRebuilt):
        old.write([empty])
    assert old.position() == 7
    old.write(GIVEN[4:])
    assert writer(live).position() == 15
    with pytest.raises(AnotherWriter):
        old.write([empty])
    assert facts(live, 0) == written(live, frames(8, 5, shard=1), 1)


def test_fresh_tables_may_be_further_than_who_wrote_the_old_ones(live: Database) -> None:
    old = writer(live)
    old.write(GIVEN[:3])
    swapped(live, GIVEN)
    with pytest.raises(TablesRebuilt):
        old.write(GIVEN[3:4])
    old.write(GIVEN)
    assert facts(live, 0) == written(live, frames(8, 5, shard=1), 1)


@pytest.mark.parametrize("call", range(1, 5))
def test_a_swap_inside_a_block_of_the_old_tables_leaves_every_row_once(live: Database, call: int) -> None:
    building = rebuilt(live, GIVEN[:5])
    moment = Moment(live, call, building.swap)
    old = BlockWriter(moment, 0, size=SMALL, patience_s=0.2)
    old.position()
    moment.armed = True
    with pytest.raises(TablesRebuilt):
        old.write(GIVEN)
    old.write(GIVEN)
    building.close()
    assert facts(live, 0) == written(live, frames(8, 5, shard=1), 1)
    assert list(audit.differences(live, settled=True)) == []


class Moment(Interrupted):
    """Something happens before a certain insert, once it is armed."""

    def __init__(self, inner: Database, call: int, act: Callable[[], None]) -> None:
        super().__init__(inner, 0, How.NOTHING)
        self.armed, self._left, self._act, self.sink = False, call, act, inner

    def insert(self, table: str, batch: pa.RecordBatch, label: str = "", guard: Any = None) -> None:
        self._left -= self.armed
        if self.armed and self._left == 0:
            self._act()
        self.sink.insert(table, batch, label, guard)


def test_a_second_swap_is_seen_too_and_one_of_another_time_stops_a_writer(live: Database) -> None:
    old = writer(live)
    old.write(GIVEN[:4])
    swapped(live, GIVEN[:4])
    new = writer(live)
    new.write(GIVEN[:6])
    swapped(live, GIVEN[:2])
    for one in (old, new):
        with pytest.raises(TablesRebuilt):
            one.write(GIVEN[6:])
    new.write(GIVEN)
    writer(live).write(GIVEN[:1])
    with pytest.raises(AnotherWriter):
        new.write(frames(9, 5))
    assert facts(live, 0) == written(live, frames(8, 5, shard=1), 1)


def blocks(live: Database, shard: int = 0) -> list[tuple[int, int, int]]:
    """Number, first and last offset of each block that is done."""
    asked = "SELECT block, first_offset, last_offset FROM siyu.sink_blocks WHERE state = 'done'"
    found = live.query(f"{asked} AND shard = {shard} ORDER BY n").rows
    return [(int(block), int(first), int(last)) for block, first, last in found]


def test_what_lies_before_the_span_is_kept_by_whole_blocks_and_as_it_is(live: Database) -> None:
    expected = written(live, GIVEN)
    (_, first, last), *_ = blocks(live)[1:]
    assert first < last
    assert rebuild.whole_blocks(live, 0, last) == first
    assert rebuild.whole_blocks(live, 0, last, upwards=True) == last + 1
    assert rebuild.whole_blocks(live, 0, first) == first
    assert rebuild.kept_blocks(live, 0, first) == 1
    with pytest.raises(ValueError, match="inside a block"):
        Rebuild(live).begin({0: last})
    swapped(live, GIVEN, first)
    assert facts(live, 0) == expected
    assert list(audit.differences(live, settled=True)) == []
    assert_rollups_are_sums_of_facts(live)
    swapped(live, GIVEN[:3], 15)
    assert facts(live, 0) == expected
    assert writer(live).position() == 15


def test_a_shard_that_is_not_rebuilt_stays_and_strays_are_left_behind(live: Database) -> None:
    other = written(live, frames(4, 5, shard=3), 3)
    live.insert("events", _stray())
    building = Rebuild(live)
    building.begin({0: 0, 3: 7})
    building.writer(0, SMALL).write(GIVEN)
    building.swap()
    building.close()
    assert facts(live, 3) == other
    assert facts(live, 0) == written(live, frames(8, 5, shard=1), 1)


def test_a_rebuild_that_is_given_up_leaves_the_live_tables_and_nothing_else(live: Database) -> None:
    expected = written(live, GIVEN)
    old = writer(live)
    building = rebuilt(live, GIVEN[:2])
    building.abandon()
    building.close()
    assert left_behind(live) == []
    old.write(frames(9, 5))
    assert facts(live, 0) != expected
    assert old.position() == 17


def test_what_earlier_rebuilds_left_behind_is_dropped(live: Database) -> None:
    expected = written(live, GIVEN)
    rebuilt(live, GIVEN[:2]).close()
    swapped(live, GIVEN)
    assert len(left_behind(live)) == 3
    swap.clear(live)
    assert left_behind(live) == []
    assert facts(live, 0) == expected


def test_fresh_tables_that_lost_a_row_are_not_swapped_in(live: Database) -> None:
    building = rebuilt(live, GIVEN)
    fresh = live.at(swap.fresh_name(live, building.id))
    fresh.remove("events", {"journal_offset": 4})
    fresh.close()
    with pytest.raises(NotWhole, match="rows in events, noted are"):
        building.check()
    building.close()


def test_the_audit_names_each_block_that_is_not_as_noted(live: Database) -> None:
    writer(live).write(GIVEN)
    writer(live, 4).write(frames(2, 5, shard=4))
    assert list(audit.differences(live, settled=True)) == []
    (block, _, _), *_ = blocks(live)
    rows = live.count("events", {"shard": 0, "block": block})
    live.insert("events", _stray())
    live.remove("events", {"shard": 0, "block": block, "journal_offset": 0})
    assert sorted(audit.differences(live)) == [
        ("events", 0, block, rows, rows - 5),
        ("events", 0, NOBODYS, 0, 1),
    ]


@pytest.mark.parametrize("how", list(How))
def test_rollups_are_sums_of_facts_after_retries_restarts_and_a_rebuild(live: Database, how: How) -> None:
    given = list(GIVEN)
    for call in range(9, 60, 7):
        flaky = Interrupted(live, call, how)
        try:
            writer_of(flaky).write(given)
        except SinkUnavailable:
            flaky.died = False
        writer(live).write(given[:2])
        assert_rollups_are_sums_of_facts(live)
    writer(live).write(given)
    assert_rollups_are_sums_of_facts(live)
    swapped(live, given, rebuild.whole_blocks(live, 0, 6))
    writer(live).write(frames(12, 5))
    assert_rollups_are_sums_of_facts(live)
    assert live.query("SELECT count(), uniqExact(event_id) FROM siyu.events").rows == ((60, 60),)


def writer_of(sink: Interrupted) -> BlockWriter:
    return BlockWriter(sink, 0, size=SMALL, patience_s=0.2)


def test_numbers_of_a_rebuilt_ledger_are_far_from_those_of_the_old_one(live: Database) -> None:
    writer(live).write(GIVEN)
    before = ledger.newest(live, 0)
    swapped(live, GIVEN)
    after = ledger.newest(live, 0)
    assert before is not None
    assert after is not None
    assert after.n - before.n > 1 << 32
    assert ledger.rebuilt_at(live, 0) > before.n
