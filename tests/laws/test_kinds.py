"""Rules over a history match what trying everything finds, whoever turns out to be one, in whatever order it comes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import msgpack
import yaml
from hypothesis import given
from hypothesis import strategies as st

from streams.journal.tables import Change, Tables
from tests.support.frames import ORDERS, Ev, Journal, by_topic, cut, fold
from tests.support.profiles import law
from tests.support.searching import Asked, Search, Waited

BASE, SECOND = 1_700_000_000_000, 1_000
IDS = (("openid", "wx", "o1"), ("openid", "wx2", "o2"), ("phone", "", "+8613912340001"))
WHO = (IDS[:1], IDS[:1], IDS[1:2], IDS[1:2], IDS[2:], (IDS[0], IDS[2]), (IDS[1], IDS[2]))
RULES = (
    Asked("count", "count", ("a",), 3, 5 * SECOND),
    Asked("distinct", "distinct", ("a", "b"), 2, 4 * SECOND),
    Asked("high", "threshold", ("b", "c"), 4, 0),
    Asked("interval", "interval", ("a", "b"), 2 * SECOND, 5 * SECOND),
    Asked("sequence", "sequence", ("a", "b"), 0, 4 * SECOND),
    Asked("sum", "sum", ("b", "c"), 10, 6 * SECOND),
    Asked("three", "sequence", ("c", "a", "b"), 0, 6 * SECOND),
)


@st.composite
def histories(draw: st.DrawFn) -> list[Ev]:
    """Events that come late and out of order, of ids that turn out to be one person's."""
    events: list[Ev] = []
    now = BASE
    for number in range(draw(st.integers(8, 30))):
        now += SECOND * draw(st.sampled_from((0, 0, 1, 1, 2, 4)))
        kind = draw(st.sampled_from("aaabbc"))
        time = now - SECOND * draw(st.sampled_from((0, 0, 0, 0, 1, 3, 6)))
        fen, item = draw(st.integers(1, 6)), draw(st.sampled_from(("x", "y")))
        ids = draw(st.sampled_from(WHO))
        events.append(Ev(now, kind, ids, time=time, fen=fen, id=f"e{number:02}", item=item))
    return events


@cache
def _text(rule: Asked) -> str:
    when: dict[str, Any] = {"of": [*rule.types], "at_least": rule.at_least, "within": _seconds(rule.within)}
    if rule.kind == "sequence":
        when = {"steps": [{"event": kind} for kind in rule.types], "within": _seconds(rule.within)}
    elif rule.kind == "interval":
        since, until = rule.types
        bounds = {"at_least": _seconds(rule.at_least), "at_most": _seconds(rule.within)}
        when = {"since": since, "until": until} | bounds
    elif rule.kind == "threshold":
        when = {"of": [*rule.types], "at_least": rule.at_least, "value": "amount_fen"}
    elif rule.kind != "count":
        when["value"] = {"sum": "amount_fen", "distinct": "item_id"}[rule.kind]
    send = {"topic": "triggers.coupon", "expires_after": "1d", "channels": [{"channel": "sms", "to": "phone"}]}
    return yaml.safe_dump({"rule": rule.name, "version": 1, "when": {rule.kind: when}, "send": send})


GONE = Asked("gone", "absence", ("a", "b"), 0, 3 * SECOND)
_GONE = """
rule: gone
version: 1
when: {absence: {after: a, of: b, within: 3s, same: person}}
send:
  topic: triggers.coupon
  expires_after: 1d
  channels: [{channel: sms, to: phone}, {channel: mini, to: openid}]
"""


@law
@given(histories())
def test_absences_on_the_person_are_those_that_trying_everything_finds(events: list[Ev]) -> None:
    journal = Journal((ORDERS,)).rule(_GONE)
    for event in events:
        journal.add(event)
    _, outputs = fold(journal.frames)
    records = [record[3] for record in by_topic(outputs).get("decisions", [])]
    got = [(record["verdict"], record["due_time"], tuple(record["cause"])) for record in records]
    assert sorted(got) == sorted(Waited(GONE, events).run())


@law
@given(histories(), st.data())
def test_an_engine_restored_anywhere_goes_on_as_it_would_have(events: list[Ev], data: st.DataObject) -> None:
    journal = Journal()
    for text in (*map(_text, RULES), _GONE):
        journal.rule(text)
    for event in events:
        journal.add(event)
    at = data.draw(st.integers(0, len(journal.frames)))
    engine, outputs = fold(journal.frames)
    lost, _ = fold(journal.frames[:at])
    kept = [Change(*msgpack.unpackb(msgpack.packb(tuple(row)), use_list=False)) for row in lost.tables.rows()]
    restored, later = fold(journal.frames[at:], Tables(kept), at)
    assert by_topic(later) == by_topic(outputs[at:])
    assert msgpack.packb([tuple(row) for row in restored.tables.rows()]) == msgpack.packb(
        [tuple(row) for row in engine.tables.rows()]
    )


def _seconds(ms: int) -> str:
    return f"{ms // SECOND}s"


def _journal(events: Sequence[Ev], rules: Sequence[Asked] = RULES) -> Journal:
    journal = Journal()
    for rule in rules:
        journal.rule(_text(rule))
    for event in events:
        journal.add(event)
    return journal


def _decisions(journal: Journal) -> list[tuple[int, str, tuple[str, ...]]]:
    _, outputs = fold(journal.frames)
    records = [record[3] for record in by_topic(outputs).get("decisions", [])]
    return [(record["due_time"], record["rule"], tuple(record["cause"])) for record in records]


@law
@given(histories())
def test_what_is_matched_is_what_trying_everything_finds(events: list[Ev]) -> None:
    hits = Search(RULES, events).run()
    assert sorted(_decisions(_journal(events))) == sorted((hit.due, hit.rule, hit.cause) for hit in hits)


@law
@given(histories())
def test_it_is_matched_by_the_event_that_completes_it(events: list[Ev]) -> None:
    rules = len(RULES)
    _, outputs = fold(_journal(events).frames)
    got = [
        (at - rules, record.record["due_time"], record.record["rule"])
        for at, output in enumerate(outputs)
        for record in output.public
        if record.subject == "decision"
    ]
    assert sorted(got) == sorted((hit.at, hit.due, hit.rule) for hit in Search(RULES, events).run())


@law
@given(histories(), st.data())
def test_no_batching_changes_what_is_matched(events: list[Ev], data: st.DataObject) -> None:
    whole = Journal()
    for rule in RULES:
        whole.rule(_text(rule))
    whole.add(*events)
    pieces = cut(whole.frames[-1], data.draw(st.integers(0, len(events))))
    _, one = fold(whole.frames)
    _, two = fold([*whole.frames[:-1], *pieces])
    assert by_topic(two) == by_topic(one)
    assert _decisions(_journal(events)) == [
        (each[3]["due_time"], each[3]["rule"], tuple(each[3]["cause"])) for each in by_topic(one).get("decisions", [])
    ]


@law
@given(histories(), st.data())
def test_where_two_become_one_before_anything_matched_does_not_matter(events: list[Ev], data: st.DataObject) -> None:
    apart = [replace(event, ids=event.ids[:1]) for event in events if event.ids[0] != IDS[2]]
    known = [Ev(BASE, "login", ids, time=BASE, id=f"k{at}") for at, ids in enumerate((IDS[:1], IDS[1:2]))]
    alone = [hit.at for hit in Search(RULES, apart).run()]
    joined = [hit.at - 1 for hit in Search(RULES, _linked(apart, 0)).run()]
    first = min([*alone, *joined, len(apart)])
    places = [data.draw(st.integers(0, first)) for _ in range(2)]
    told = [_decisions(_journal([*known, *_linked(apart, at)])) for at in places]
    assert sorted(told[0]) == sorted(told[1])


def _linked(events: Sequence[Ev], at: int) -> list[Ev]:
    received = events[at - 1].at if at else BASE
    return [*events[:at], Ev(received, "login", (IDS[0], IDS[1]), time=received, id="link"), *events[at:]]
