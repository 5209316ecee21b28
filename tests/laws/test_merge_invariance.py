"""Wherever two ids of one person meet before a decision falls, the triggers are the same; undoing is as if never."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from streams.engine import Outputs, person_sets
from streams.identity.nodes import base_of
from tests.support.crowds import BASE, IDS, crowds, policies, ruled
from tests.support.frames import CONTROL, Ev, Journal, by_topic, fold
from tests.support.journals import SECOND, frames_of, read_by
from tests.support.lines import Commanded, Id, Item, MergePolicyText
from tests.support.profiles import law

ONE, OTHER = ("openid", "wx", "o1"), ("phone", "", "+8613912340001")
KINDS: dict[str, dict[str, Any]] = {
    "absence": {"absence": {"after": "a", "of": "b", "within": "4s"}},
    "person": {"absence": {"after": "a", "of": "b", "within": "3s", "same": "person"}},
    "count": {"count": {"of": "c", "at_least": 3, "within": "9s"}},
    "sequence": {"sequence": {"steps": [{"event": "c"}, {"event": "a"}, {"event": "b"}], "within": "9s"}},
}
CHANNELS = [{"channel": "sms", "to": "phone"}, {"channel": "mini", "to": "openid"}]
SEND = {"topic": "triggers.coupon", "expires_after": "1h", "channels": CHANNELS, "quiet_hours": "ignore"}


def rule(kind: str, re_entry: str) -> str:
    send = {**SEND, "re_entry": re_entry}
    return yaml.safe_dump({"rule": kind, "version": 1, "when": KINDS[kind], "send": send})


@st.composite
def histories(draw: st.DrawFn) -> list[Ev]:
    """What one person does under one id or the other, an order now and then, some of it late."""
    events, now = [], BASE
    for number in range(draw(st.integers(1, 14))):
        now += SECOND * draw(st.sampled_from((0, 1, 1, 2)))
        ids = (draw(st.sampled_from((ONE, OTHER))),)
        late = SECOND * draw(st.sampled_from((0, 0, 0, 1, 3)))
        order = draw(st.sampled_from((None, "o1", "o2")))
        events.append(Ev(now, draw(st.sampled_from("aabccc")), ids, order, time=now - late, id=f"e{number:02}"))
    return events


def met_at(place: int, events: Sequence[Ev], text: str) -> list[Outputs]:
    """The history with the meeting of both ids before the event at this place, a frame for each event."""
    at = events[min(place, len(events) - 1)].at
    meeting = Ev(at, "met", (ONE, OTHER), time=BASE, id="met")
    journal = Journal().rule(text)
    for event in (*events[:place], meeting, *events[place:]):
        journal.add(event)
    journal.add(until=BASE + 3_600 * SECOND)
    return fold(journal.frames)[1]


def sent(outputs: Sequence[Outputs]) -> list[dict[str, Any]]:
    """What was triggered; the person's name is that of the id that was seen first, and that may differ."""
    records = [record for *_, record in by_topic(outputs).get("triggers.coupon", [])]
    return [{name: value for name, value in record.items() if name != "one_id"} for record in records]


def decisions(outputs: Sequence[Outputs]) -> list[dict[str, Any]]:
    return [record for *_, record in by_topic(outputs).get("decisions", [])]


def first_decided(outputs: Sequence[Outputs]) -> int:
    """How many frames there are before the one in which the first decision fell."""
    return next((at for at, one in enumerate(outputs) if decisions([one])), len(outputs))


@law
@given(histories(), st.sampled_from(sorted(KINDS)), st.sampled_from(("always", "once")))
def test_a_merge_at_any_place_before_a_decision_gives_the_same_triggers(
    events: list[Ev], kind: str, re_entry: str
) -> None:
    """The rule is frame 0, so that event n is in frame n + 2 where the meeting came first, and the meeting in n + 1."""
    text = rule(kind, re_entry)
    known_first = met_at(0, events, text)
    for place in range(min(len(events), first_decided(known_first) - 2) + 1):
        outputs = met_at(place, events, text)
        if first_decided(outputs) > place + 1:  # else the clock came to it before the meeting did
            assert sent(outputs) == sent(known_first)
            assert len(decisions(outputs)) == len(decisions(known_first))


@law
@given(histories(), st.sampled_from(sorted(KINDS)))
def test_what_a_merge_finds_decided_already_stays_and_nothing_is_sent_twice(events: list[Ev], kind: str) -> None:
    """However late it comes: what was sent before it was sent once, and is still what was sent."""
    text = rule(kind, "always")
    for place in range(len(events) + 1):
        outputs = met_at(place, events, text)
        apart = met_at(len(events), events, text)
        before = sent(outputs[: place + 1])
        assert before == sent(apart[: place + 1])
        ids = [record["trigger_id"] for record in sent(outputs)]
        assert len(set(ids)) == len(ids)
        assert ids[: len(before)] == [record["trigger_id"] for record in before]


@law
@given(histories())
def test_a_late_merge_revokes_what_the_person_had_done_in_time_under_the_other_id(events: list[Ev]) -> None:
    """And nothing else: a send is revoked where, and only where, a B lies from A to A + T."""
    for place in range(len(events) + 1):
        outputs = met_at(place, events, rule("person", "always"))
        revoked = {record["trigger_id"] for *_, record in by_topic(outputs).get("triggers.revoked", [])}
        for record in sent(outputs):
            due_ms = record["due_time"]
            ends = [event.time for event in events if event.type == "b" and event.time is not None]
            in_time = any(due_ms - 3 * SECOND <= time <= due_ms for time in ends)
            assert (record["trigger_id"] in revoked) == in_time


@law
@given(policies(), crowds(commands=()), st.sampled_from(IDS[:-1]), st.sampled_from(IDS[:-1]))
def test_after_a_cut_who_is_who_is_as_if_it_had_stood_at_the_start(
    policy: MergePolicyText, log: Sequence[Item], a: Id, b: Id
) -> None:
    """Persons, and what each node's events belong to, whether the pair is cut before all events or after them."""
    late, early = (Commanded(at, read_by(CONTROL), "t1", (a, b), "unlink") for at in (BASE + 60 * SECOND, BASE))
    if a == b:
        return
    after = fold(frames_of((ruled(policy), *log, late), frozenset()))[0]
    start = fold(frames_of((ruled(policy), early, *log), frozenset()))[0]
    plain = [
        {frozenset(one for one in nodes if one == base_of(one)) for nodes in person_sets(engine).values()}
        - {frozenset()}
        for engine in (after, start)
    ]
    assert plain[0] == plain[1]
