"""A payment in the journal before the clock passes the deadline prevents, however far everything is behind."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from streams.engine import Outputs
from tests.support.frames import ORDERS, SALT, fold
from tests.support.journals import frames_of, named, read_by
from tests.support.lines import Event, Line
from tests.support.oracle import Oracle
from tests.support.profiles import law
from tests.support.stories import BASE, Story, stories

ENDS = ("order_paid", "order_cancelled")


def _verdicts(outputs: list[Outputs]) -> Iterator[tuple[int, str, tuple[str, str, str]]]:
    for at, output in enumerate(outputs):
        for _, _, subject, record in output.public:
            if subject == "decision":
                yield at, record["verdict"], (record["tenant"], record["rule"], record["business_key"])


def _payment(tenant: str, order: str, at: int, time: int, received: int) -> Event:
    return Event(received, read_by(ORDERS), named(ORDERS), tenant, f"p{at}", "order_paid", time, order)


def _with(story: Story, at: int, line: Line) -> list[Line]:
    return [*story.lines[:at], line, *story.lines[at:]]


@law
@given(stories(controls=False), st.data())
def test_a_payment_anywhere_before_the_sending_prevents_it(story: Story, data: st.DataObject) -> None:
    _, outputs = fold(frames_of(story.lines))
    sent = [(at, key) for at, verdict, key in _verdicts(outputs) if verdict == "sent"]
    if not sent:
        return
    fired, (tenant, rule, order) = data.draw(st.sampled_from(sent))
    at = data.draw(st.integers(_both_applied(story), max(fired, _both_applied(story))))
    received = max(
        (line.received for line in story.lines[:at] if isinstance(line, Event) and _reads(line)), default=BASE
    )
    _, paid = fold(frames_of(_with(story, at, _payment(tenant, order, at, BASE - 1_000_000, received))))
    assert ("sent", (tenant, rule, order)) not in [(verdict, key) for _, verdict, key in _verdicts(paid)]


def _reads(event: Event) -> bool:
    return named(ORDERS) in event.read


def _both_applied(story: Story) -> int:
    """A rule hears only what comes after it was applied."""
    return 1 + max(at for at, line in enumerate(story.lines) if type(line).__name__ == "Applied")


@law
@given(stories(controls=False))
def test_nothing_is_sent_for_an_order_that_was_heard_to_end(story: Story) -> None:
    _, outputs = fold(frames_of(story.lines))
    oracle = Oracle(story.lines, SALT)
    for at, verdict, (tenant, rule, order) in _verdicts(outputs):
        ends = ENDS if (tenant, rule) == ("t1", "coupon") else ENDS[:1]
        heard = [event for position, event in oracle.accepted if position < oracle.after(at) and event.type in ends]
        assert verdict != "sent" or (tenant, order) not in [(event.tenant, event.order) for event in heard]


@law
@given(stories(controls=False))
def test_events_that_come_twice_change_nothing(story: Story) -> None:
    doubled = [copy for line in story.lines for copy in ([line, replace(line)] if isinstance(line, Event) else [line])]
    _, once = fold(frames_of(story.lines))
    _, twice = fold(frames_of(doubled))
    assert [each[1:] for each in _verdicts(twice)] == [each[1:] for each in _verdicts(once)]
