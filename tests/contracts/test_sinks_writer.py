"""The block writer over every sink: wherever it is cut off, every row stands exactly once in the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count, product
from pathlib import Path

import pyarrow as pa
import pytest

from schemas.frames import Resolved
from sinks.batches import BlockSize
from sinks.ledger import State
from sinks.memory import MemorySink
from sinks.sink import Guard, Sink, SinkUnavailable
from sinks.writer import AnotherWriter, BlockWriter, Written
from tests.unit.sinks.interrupted import How, Interrupted
from tests.unit.sinks.opened import SINKS, opened_sink
from tests.unit.sinks.reading import facts, raw_rows
from tests.unit.sinks.resolved import frames

SMALL = BlockSize(rows=12)
UNDISTURBED = 60_000

# In the middle of the first block's inserts, then at each call of settling it.
SOME_DEATHS = [(9, call, How.HALF, How.ALL) for call in range(3, 15)]
ALL_DEATHS = [*product([7, 9, 11, 16], range(1, 18), [How.HALF], [How.HALF, How.ALL])]


@pytest.fixture(params=SINKS)
def sink(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Sink]:
    with opened_sink(request, tmp_path) as opened:
        yield opened


def writer(sink: Sink, shard: int = 0, size: BlockSize = SMALL) -> BlockWriter:
    return BlockWriter(sink, shard, size=size, patience_s=0.2)


def after_restart(sink: Sink, given: list[Resolved], size: BlockSize = SMALL) -> Written:
    """A new writer gets the frames again, from a little before its position on."""
    fresh = writer(sink, given[0].shard, size)
    position = fresh.position()
    return fresh.write(frame for frame in given if frame.journal_offset >= position - 3)


def cut_off(sink: Sink, given: list[Resolved], call: int, how: How) -> bool:
    """Write until the given call fails; whether it came to that call."""
    dying = Interrupted(sink, call, how)
    try:
        writer(dying, given[0].shard).write(given)
    except SinkUnavailable:
        assert dying.died
    return dying.died


def of_its_own(sink: Sink) -> Sink:
    """A sink for one case: memory is made anew, which is faster than to search it; a database has shards enough."""
    return MemorySink() if isinstance(sink, MemorySink) else sink


def test_every_row_of_every_frame_stands_once(sink: Sink) -> None:
    given = frames(7, 5)
    written = writer(sink).write(given)
    events = raw_rows(sink, "events", 0)
    assert sorted(row["event_id"] for row in events) == sorted(f"e{n * 2}-{row}" for n in range(7) for row in range(5))
    assert {row["journal_offset"] for row in events} == {frame.journal_offset for frame in given}
    assert written.blocks == 4
    assert sum(row["events"] for row in raw_rows(sink, "touchpoint_minute_parts", 0)) == 35


def test_the_position_is_after_the_last_frame_also_for_the_next_writer(sink: Sink) -> None:
    first = writer(sink)
    assert first.position() == 0
    first.write(frames(4, 5))
    assert first.position() == 7
    assert writer(sink).position() == 7


def test_repeats_and_batches_cut_anew_change_nothing(sink: Sink) -> None:
    given = frames(9, 5)
    writer(sink).write(given)
    expected = facts(sink, 0)
    again = writer(sink, size=BlockSize(rows=3))
    assert again.write(given) == Written(0, 0)
    assert again.write([*given[4:], *given[:5]]) == Written(0, 0)
    assert facts(sink, 0) == expected


def test_one_frame_at_a_time_gives_the_same_facts_as_all_at_once(sink: Sink) -> None:
    writer(sink, 0).write(frames(6, 5))
    slow = writer(sink, 1, BlockSize(rows=1))
    for frame in frames(6, 5, shard=1):
        slow.write([frame])
    assert facts(sink, 0) == facts(sink, 1)


def test_shards_do_not_see_each_other(sink: Sink) -> None:
    writer(sink, 1).write(frames(3, 5, shard=1))
    assert writer(sink, 2).position() == 0
    writer(sink, 2).write(frames(2, 5, shard=2))
    assert (writer(sink, 1).position(), writer(sink, 2).position()) == (5, 3)


@pytest.mark.parametrize("how", list(How))
def test_a_writer_that_dies_at_any_call_leaves_nothing_lost_and_nothing_twice(sink: Sink, how: How) -> None:
    writer(sink, UNDISTURBED).write(frames(3, 5, shard=UNDISTURBED))
    expected = facts(sink, UNDISTURBED)
    first, step = (1, 1) if isinstance(sink, MemorySink) else (list(How).index(how) + 1, 3)
    for call in count(first, step):
        given, place = frames(3, 5, shard=call), of_its_own(sink)
        if not cut_off(place, given, call, how):
            break
        after_restart(place, given, BlockSize(rows=8))
        assert facts(place, call) == expected, f"call {call}"
    assert call > 20


def test_a_writer_that_dies_again_while_it_settles_loses_nothing(sink: Sink) -> None:
    writer(sink, UNDISTURBED).write(frames(3, 5, shard=UNDISTURBED))
    expected = facts(sink, UNDISTURBED)
    deaths = ALL_DEATHS if isinstance(sink, MemorySink) else SOME_DEATHS
    for shard, (first, second, how, then) in enumerate(deaths):
        given, place = frames(3, 5, shard=shard), of_its_own(sink)
        cut_off(place, given, first, how)
        cut_off(place, given, second, then)
        after_restart(place, given)
        assert facts(place, shard) == expected, f"died at {first} ({how}), then at {second} ({then})"


def test_the_same_writer_goes_on_after_the_sink_was_away(sink: Sink) -> None:
    writer(sink, 1).write(frames(5, 5, shard=1))
    given = frames(5, 5)
    flaky = Interrupted(sink, 9, How.HALF)
    going_on = writer(flaky)
    with pytest.raises(SinkUnavailable):
        going_on.write(given)
    flaky.died = False
    going_on.write(given)
    assert facts(sink, 0) == facts(sink, 1)


def test_a_whole_block_in_doubt_is_kept_and_a_partial_one_removed(sink: Sink) -> None:
    *_, last_rows, done = _inserts(frames(2, 5))
    cut_off(sink, frames(2, 5, shard=1), done, How.NOTHING)
    assert writer(sink, 1).settle() is State.DONE
    cut_off(sink, frames(2, 5, shard=2), last_rows, How.HALF)
    assert writer(sink, 2).settle() is State.REMOVED
    assert raw_rows(sink, "events", 2) == []
    assert writer(sink, 3).settle() is State.OWNED


def _inserts(given: list[Resolved]) -> list[int]:
    """The numbers of the calls that insert, in writing these frames: the last one notes the last block done."""
    watched = Interrupted(MemorySink(), 0, How.NOTHING)
    writer(watched).write(given)
    return watched.inserts


def test_a_writer_whose_shard_was_taken_over_stops_for_good(sink: Sink) -> None:
    given = frames(6, 5)
    old = writer(sink)
    old.write(given[:2])
    new = writer(sink)
    new.write(given[2:4])
    for _ in range(2):
        with pytest.raises(AnotherWriter):
            old.write(given[2:])
    new.write(given[4:])
    assert len(raw_rows(sink, "events", 0)) == 30


def test_what_a_writer_inserts_after_it_was_overtaken_brings_nothing(sink: Sink) -> None:
    given = frames(3, 5)
    writer(sink, 1).write(frames(3, 5, shard=1))
    overtaken = Overtaken(sink, given)
    with pytest.raises(AnotherWriter):
        writer(overtaken).write(given)
    assert overtaken.done
    assert facts(sink, 0) == facts(sink, 1)


def test_a_statement_that_comes_after_everything_brings_nothing(sink: Sink) -> None:
    given = frames(3, 5)
    writer(sink, 1).write(frames(3, 5, shard=1))
    late = Late(sink)
    with pytest.raises(SinkUnavailable):
        writer(late).write(given)
    writer(sink).write(given)
    late.arrive()
    assert facts(sink, 0) == facts(sink, 1)


class Overtaken(Interrupted):
    """Before the last table of the first block a new writer takes the shard over and writes all of it."""

    def __init__(self, inner: Sink, given: list[Resolved]) -> None:
        super().__init__(inner, 0, How.NOTHING)
        self.inner, self.given, self.done = inner, given, False

    def insert(self, table: str, batch: pa.RecordBatch, label: str = "", guard: Guard | None = None) -> None:
        if table == "touchpoint_minute_parts" and not self.done:
            self.done = True
            writer(self.inner).write(self.given)
        self.inner.insert(table, batch, label, guard)


class Late(Interrupted):
    """The first insert of events is not answered, and comes to the server when it is told to."""

    def __init__(self, inner: Sink) -> None:
        super().__init__(inner, 0, How.NOTHING)
        self.inner, self.held = inner, list[Callable[[], None]]()

    def insert(self, table: str, batch: pa.RecordBatch, label: str = "", guard: Guard | None = None) -> None:
        if table == "events":
            self.held.append(lambda: self.inner.insert(table, batch, label, guard))
            raise SinkUnavailable("no answer")
        self.inner.insert(table, batch, label, guard)

    def arrive(self) -> None:
        for insert in self.held:
            insert()
