"""The clock of a journal goes forward only, and never past what has been read."""

from __future__ import annotations

from hypothesis import given

from streams.engine import Engine
from tests.support.frames import SALT, by_topic, fold
from tests.support.journals import frames_of
from tests.support.oracle import Oracle
from tests.support.profiles import law
from tests.support.stories import Story, stories


def _times(engine: Engine) -> list[int]:
    groups = sorted({"", *engine.book.groups()})
    return [engine.clock.now, *(engine.clock.of(group) for group in groups)]


@law
@given(stories(untrue=True))
def test_no_clock_ever_goes_back(story: Story) -> None:
    engine, _ = fold([])
    before = _times(engine)
    for at, frame in enumerate(story.frames):
        engine.step(at, frame)
        now = _times(engine)
        assert all(later >= earlier for earlier, later in zip(before, now, strict=False) if len(before) == len(now))
        before = now


@law
@given(stories(untrue=True, controls=False))
def test_no_clock_passes_what_its_slowest_member_has_been_read_to(story: Story) -> None:
    engine, _ = fold([])
    oracle = Oracle(story.lines, SALT)
    for at, frame in enumerate(frames_of(story.lines)[: len(story.lines)]):
        engine.step(at, frame)
        here = oracle.after(at)
        assert engine.clock.of("") <= min((oracle.progress(here, name) for name in oracle.members(here, ())), default=0)
        assert engine.clock.of("") <= engine.clock.now


@law
@given(stories(untrue=True))
def test_what_is_waited_for_is_told_with_the_slowest_first(story: Story) -> None:
    engine, _ = fold(frames_of(story.lines))
    oracle = Oracle(story.lines, SALT)
    last = oracle.after(len(story.lines) - 1)
    slowest = sorted(oracle.members(last, ()), key=lambda name: (oracle.progress(last, name), name))
    assert engine.clock.waiting_for("") == slowest


@law
@given(stories(untrue=True))
def test_nothing_is_decided_before_its_deadline_has_passed(story: Story) -> None:
    _, outputs = fold(story.frames)
    for _, _, _, record in by_topic(outputs).get("decisions", []):
        assert record["decided_time"] > record["due_time"]
