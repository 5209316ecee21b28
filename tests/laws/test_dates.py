"""Rules on a date match on the days that a look at every day finds, whoever turns out to be one or two."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgpack
import yaml
from hypothesis import given
from hypothesis import strategies as st

from streams.engine import Outputs
from streams.journal.tables import Change, Tables
from tests.support import frames
from tests.support.birthdays import HOME, Asked, Calendar, Id, Said
from tests.support.frames import APP, CONTROL, ORDERS, Ev, Journal, by_topic, fold, sources
from tests.support.journals import rules
from tests.support.profiles import law

HOUR = 3_600_000
BASE = 1_700_000_040_000
IDS: tuple[Id, ...] = (("phone", "", "+8613912340001"), ("openid", "wx", "o1"), ("openid", "wx2", "o2"))
PAIRS = ((IDS[0], IDS[1]), (IDS[0], IDS[2]))
DAYS = ("01-01", "02-28", "02-29", "1988-02-29", "03-01", "12-31", "2001-11-17", "11-18", "no day", "02-30")
ZONES = ("Asia/Shanghai", "America/New_York", "Pacific/Auckland")
POLICY = yaml.safe_dump(
    {
        "delivery": "usual",
        "version": 1,
        "zone": HOME,
        "traits": {
            "birthday": {"of": "told", "property": "birthday"},
            "zone": {"of": "told", "property": "zone"},
        },
    }
)


@st.composite
def asked(draw: st.DrawFn) -> Asked:
    """A rule."""
    minute = draw(st.sampled_from((0, 9 * 60, 23 * 60 + 59)))
    return Asked(minute, draw(st.sampled_from((0, 0, 0, -3, 40, -180))), draw(st.sampled_from(("feb_28", "mar_01"))))


@st.composite
def histories(draw: st.DrawFn) -> list[Said]:
    """What was said over some years."""
    now, told = BASE, list[Said]()
    for _ in range(draw(st.integers(1, 8))):
        now += HOUR * draw(st.sampled_from((0, 1, 12, 24, 24 * 30, 24 * 100, 24 * 366)))
        what = draw(st.integers(0, 9))
        if what <= 5:
            words = draw(st.sampled_from(DAYS)) if what <= 3 else ""
            zone = draw(st.sampled_from(ZONES)) if what > 2 else ""
            told.append(Said(now, (draw(st.sampled_from(IDS)),), words, zone))
        else:
            pair = draw(st.sampled_from(PAIRS))
            cut = what == 9 and any(set(pair) <= set(one.ids) for one in told)
            told.append(Said(now, pair, cut=cut))
    return told


def _rule(rule: Asked) -> str:
    when = {"trait": "birthday", "at": f"{rule.minute // 60:02}:{rule.minute % 60:02}"}
    date = when | {"days": rule.days, "leap": rule.leap}
    channels = [{"channel": "sms", "to": "phone"}, {"channel": "mini", "to": "openid"}]
    send = {"topic": "triggers.coupon", "expires_after": "366d", "channels": channels}
    return yaml.safe_dump({"rule": "birthday", "version": 1, "when": {"date": date}, "send": send})


def _item(number: int, said: Said) -> Ev | frames.Said:
    if said.cut:
        a, b = ({"kind": kind, "scope": scope or None, "value": value} for kind, scope, value in said.ids)
        return frames.Said(said.at, "command", {"tenant": "t1", "kind": "unlink", "a": a, "b": b, "time": said.at})
    told = {name: value for name, value in (("birthday", said.birthday), ("zone", said.zone)) if value}
    kind = "told" if told else "login"
    return Ev(said.at, kind, said.ids, time=said.at, id=f"e{number}", properties=tuple(told.items()))


def _journal(rule: Asked, said: Sequence[Said], until: int, rule_after: int = 0) -> Journal:
    lane = (ORDERS, APP, CONTROL)
    policy = {"tenant": "*", "kind": "delivery", "text": POLICY}
    journal = Journal().lane(lane, [frames.Said(0, "control", sources(ORDERS, APP)), frames.Said(0, "control", policy)])
    for number, one in enumerate([*said, None]):
        if number == rule_after:
            at = said[number - 1].at if number else 0
            journal.lane(lane, [frames.Said(at, "control", rules("*", _rule(rule)))])
        if one is not None:
            journal.lane(lane, [_item(number, one)])
    return journal.lane(lane, [], dict.fromkeys((ORDERS, APP), until))


def _matched(outputs: Sequence[Outputs]) -> list[tuple[Any, ...]]:
    records = [public.record for output in outputs for public in output.public if public.subject == "decision"]
    return sorted((record["due_time"], record["verdict"]) for record in records)


@law
@given(asked(), histories())
def test_dates_are_those_that_a_look_at_every_day_finds(rule: Asked, said: list[Said]) -> None:
    until = said[-1].at + 24 * HOUR * 400
    _, outputs = fold(_journal(rule, said, until).frames)
    days = [at for _, _, at in Calendar(rule, said).run(until)]
    assert [due for due, _ in _matched(outputs)] == sorted(days)


@law
@given(asked(), histories(), st.data())
def test_an_engine_restored_anywhere_goes_on_as_it_would_have(
    rule: Asked, said: list[Said], data: st.DataObject
) -> None:
    journal = _journal(rule, said, said[-1].at + 24 * HOUR * 400).frames
    at = data.draw(st.integers(0, len(journal)))
    engine, outputs = fold(journal)
    lost, _ = fold(journal[:at])
    kept = [Change(*msgpack.unpackb(msgpack.packb(tuple(row)), use_list=False)) for row in lost.tables.rows()]
    restored, later = fold(journal[at:], Tables(kept), at)
    assert by_topic(later) == by_topic(outputs[at:])
    assert msgpack.packb([tuple(row) for row in restored.tables.rows()]) == msgpack.packb(
        [tuple(row) for row in engine.tables.rows()]
    )


@law
@given(asked(), histories())
def test_a_rule_that_comes_later_knows_who_was_told_before(rule: Asked, said: list[Said]) -> None:
    until = said[-1].at + 24 * HOUR * 400
    _, outputs = fold(_journal(rule, said, until, rule_after=len(said)).frames)
    days = [at for _, _, at in Calendar(rule, said).run(until) if at > said[-1].at]
    late = [due for due, _ in _matched(outputs)]
    assert set(days) <= set(late)
    assert all(said[-1].at < at <= until for at in late)
