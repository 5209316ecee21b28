"""What delivery promises, said directly: caps, exits, rules that leave each other alone, merges that change nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from streams.engine import Outputs
from tests.support.frames import CONTROL, ORDERS, fold
from tests.support.journals import frames_of, named, read_by
from tests.support.lines import Applied, CapText, Commanded, Event, Line, Ordained, Reported
from tests.support.profiles import law
from tests.support.stories import EVENING, HOUR, IDS, Story, campaigns

A, B = IDS[0], IDS[2]


def _records(outputs: Iterable[Outputs], subject: str) -> list[dict[str, Any]]:
    return [one.record for output in outputs for one in output.public if one.subject == subject]


def _without(lines: Sequence[Line], *kinds: type) -> list[Line]:
    return [line for line in lines if not isinstance(line, kinds)]


@law
@given(campaigns(), st.sampled_from((CapText(1, within=3 * HOUR), CapText(2, within=24 * HOUR))))
def test_no_id_ever_gets_more_than_a_cap_allows(story: Story, cap: CapText) -> None:
    lines = [
        replace(line, policy=replace(line.policy, caps=(cap,))) if isinstance(line, Ordained) else line
        for line in story.lines
    ]
    times: dict[str, list[int]] = {}
    for trigger in _records(fold(frames_of(_without(lines, Reported)))[1], "trigger"):
        times.setdefault(str((trigger["tenant"], trigger["recipient"])), []).append(trigger["fired_time"])
    for sent in times.values():
        assert all(last - first >= cap.within for first, last in zip(sent, sent[cap.most :], strict=False))


@law
@given(campaigns(), st.data())
def test_nothing_is_sent_after_its_exit(story: Story, data: st.DataObject) -> None:
    lines = [
        replace(line, rule=replace(line.rule, exit_on=("page_view",))) if isinstance(line, Applied) else line
        for line in story.lines
    ]
    every = frames_of(lines)[: len(lines)]
    fired = [(at, one) for at, frame in enumerate(_folded(every)) for one in _records([frame], "trigger")]
    if not fired:
        return
    at, trigger = data.draw(st.sampled_from(fired))
    received = max(line.received for line in lines[:at] if isinstance(line, (Event, Applied)))
    to = trigger["recipient"]
    ids = ((to["kind"], to["scope"] or "", to["value"]),)
    left = Event(received, (), named(ORDERS), trigger["tenant"], "left", "page_view", trigger["due_time"], ids=ids)
    left = replace(left, received=_received_at(lines, at), read=read_by(ORDERS))
    _, outputs = fold(frames_of([*lines[:at], left, *lines[at:]]))
    assert trigger["trigger_id"] not in [one["trigger_id"] for one in _records(outputs, "trigger")]


def _folded(frames: Sequence[Any]) -> list[Outputs]:
    return fold(frames)[1]


def _received_at(lines: Sequence[Line], at: int) -> int:
    """When the lane of orders was last heard of before this line."""
    times = [line.received for line in lines[:at] if not hasattr(line, "progress") and named(ORDERS) in line.read]
    return max(times, default=EVENING)


@law
@given(campaigns())
def test_without_caps_a_rule_sends_what_it_would_send_alone(story: Story) -> None:
    lines = [
        replace(line, policy=_unbound(line)) if isinstance(line, Ordained) else line
        for line in _without(story.lines, Reported)
    ]
    _, together = fold(frames_of(lines))
    for name in ("coupon", "quick"):
        alone = [line for line in lines if not isinstance(line, Applied) or line.rule.name == name]
        _, only = fold(frames_of(alone))
        assert [one for one in _records(together, "trigger") if one["rule"] == name] == _records(only, "trigger")


def _unbound(line: Ordained) -> Any:
    return replace(line.policy, caps=(), channels=tuple(replace(one, caps=()) for one in line.policy.channels))


@law
@given(campaigns(), st.data())
def test_wherever_two_become_one_before_a_decision_falls_the_decisions_are_the_same(
    story: Story, data: st.DataObject
) -> None:
    opening = [line for line in story.lines if isinstance(line, (Applied, Ordained))][:3]
    known = [
        Event(EVENING, read_by(ORDERS), named(ORDERS), "t1", f"known{n}", "login", EVENING, ids=(one,))
        for n, one in enumerate((A, B))
    ]
    rest = [line for line in story.lines if line not in opening and not isinstance(line, Commanded)]
    lines = [*opening, *known, *rest]
    first = next((at for at, output in enumerate(_folded(frames_of(lines)[: len(lines)])) if _decided(output)), None)
    if first is None:
        return
    start = len(opening) + len(known)
    linked = [_linked(lines, data.draw(st.integers(start, max(start, first)))) for _ in range(2)]
    early, late = (_records(fold(frames_of(each))[1], "decision") for each in linked)
    assert early == late


def _decided(output: Outputs) -> bool:
    return bool(_records([output], "decision"))


def _linked(lines: Sequence[Line], at: int) -> list[Line]:
    link = Commanded(_received_at(lines, at), read_by(CONTROL), "t1", (A, B), id="link")
    return [*lines[:at], link, *lines[at:]]
