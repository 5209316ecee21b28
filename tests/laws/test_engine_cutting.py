"""However a journal is cut into frames, and however often a frame comes again, the outcome is the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.engine import Engine
from streams.journal.clock import MissingRange
from streams.journal.frame import Frame
from tests.support.frames import by_topic, fold, part, public, size, tables
from tests.support.journals import frames_of
from tests.support.lines import Line, Told
from tests.support.profiles import law
from tests.support.stories import Story, campaigns, stories


@law
@given(stories(untrue=True) | campaigns(untrue=True), st.data())
def test_any_cutting_gives_the_same_records_and_tables(story: Story, data: st.DataObject) -> None:
    _, whole = fold(story.frames)
    _, pieces = fold([piece for frame in story.frames for piece in _cut(frame, data)])
    assert by_topic(pieces) == by_topic(whole)
    assert tables(pieces) == tables(whole)


@law
@given(stories(untrue=True) | campaigns(untrue=True))
def test_a_frame_for_every_line_gives_the_same_records_and_tables(story: Story) -> None:
    _, whole = fold(story.frames)
    _, lines = fold(frames_of(story.lines))
    assert by_topic(lines) == by_topic(whole)
    assert tables(lines) == tables(whole)


@law
@given(stories() | campaigns())
def test_heartbeats_up_to_the_time_of_the_next_row_change_nothing(story: Story) -> None:
    """So decisions follow from receive times, not from how often progress was told."""
    told = [step for line in story.lines for step in _with_heartbeat(line)]
    _, once = fold(story.frames)
    _, beaten = fold(frames_of(told))
    assert by_topic(beaten) == by_topic(once)
    assert tables(beaten) == tables(once)


def _with_heartbeat(line: Line) -> list[Line]:
    if isinstance(line, Told):
        return [line]
    return [Told(tuple((name, 0, line.received) for name in line.read)), line]


@law
@given(stories() | campaigns(), st.data())
def test_pieces_that_overlap_add_nothing(story: Story, data: st.DataObject) -> None:
    _, once = fold(story.frames)
    _, overlapping = fold([piece for frame in story.frames for piece in _overlapping(frame, data)])
    assert by_topic(overlapping) == by_topic(once)
    assert tables(overlapping) == tables(once)


@law
@given(stories() | campaigns(), st.data())
def test_a_replay_of_any_prefix_is_silent_and_changes_nothing_that_follows(story: Story, data: st.DataObject) -> None:
    frames = story.frames
    until = data.draw(st.integers(1, len(frames)))
    engine, before = fold(frames[:until])
    rows = _state(engine)
    replay = data.draw(st.lists(st.sampled_from(frames[:until]), max_size=6))
    for at, frame in enumerate(replay, until):
        _is_silent(engine, at, _piece(frame, data))
    assert _state(engine) == rows
    after = [engine.step(at, frame) for at, frame in enumerate(frames[until:], until + len(replay))]
    assert by_topic([*before, *after]) == by_topic(fold(frames)[1])


@law
@given(stories() | campaigns(), st.data())
def test_a_missing_range_stops_the_shard_and_changes_nothing(story: Story, data: st.DataObject) -> None:
    frames = frames_of(story.lines)
    gaps = [(at, later) for at, later in _gaps(frames) if at]
    engine, _ = fold([])
    if not gaps:
        return
    missing, later = data.draw(st.sampled_from(gaps))
    for at, frame in enumerate(frames[:missing]):
        engine.step(at, frame)
    engine.tables.take_changes()
    rows = list(engine.tables.rows())
    with pytest.raises(MissingRange):
        engine.step(missing, frames[later])
    assert list(engine.tables.rows()) == rows
    assert engine.tables.take_changes() == []
    _, outputs = fold(frames)
    after = [engine.step(at, frame) for at, frame in enumerate(frames[missing:], missing)]
    assert public(after) == public(outputs[missing:])


def _cut(frame: Frame, data: st.DataObject) -> Iterator[Frame]:
    places = sorted(data.draw(st.lists(st.integers(0, size(frame)), max_size=3)))
    for start, end in zip([0, *places], [*places, size(frame)], strict=True):
        yield part(frame, start, end)


def _overlapping(frame: Frame, data: st.DataObject) -> Iterator[Frame]:
    end = 0
    while end < size(frame):
        start = data.draw(st.integers(0, end))
        end = data.draw(st.integers(end + 1, size(frame)))
        yield part(frame, start, end)
    yield frame


def _piece(frame: Frame, data: st.DataObject) -> Frame:
    start = data.draw(st.integers(0, size(frame)))
    return part(frame, start, data.draw(st.integers(start, size(frame))))


def _is_silent(engine: Engine, at: int, frame: Frame) -> None:
    output = engine.step(at, frame)
    assert output.public == []
    assert output.resolved.tables == {}
    assert output.refused == []
    assert +output.counts == ({"repeated": frame.events.num_rows} if frame.events.num_rows else {})


def _state(engine: Engine) -> list[tuple[str, str, object]]:
    return [tuple(row) for row in engine.tables.rows()]


def _gaps(frames: Sequence[Frame]) -> Iterator[tuple[int, int]]:
    """Frames that may not be left out, each with a later one of its lane: nothing covers what they covered."""
    for at, frame in enumerate(frames):
        of_lane = [n for n, other in enumerate(frames[:at]) if other.ranges[0].of == frame.ranges[0].of]
        if of_lane and size(frame):
            yield from ((at, n) for n, other in enumerate(frames) if n > at and _starts_after(other, frame))


def _starts_after(other: Frame, frame: Frame) -> bool:
    covered = {given.of: given.end for given in frame.ranges if given.end > given.start}
    return any(given.of in covered and given.start >= covered[given.of] for given in other.ranges)
