"""Journeys go as a slow interpreter over the whole history has them go, whoever turns out to be one or two."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from hashlib import blake2b
from typing import Any

import msgpack
import yaml
from hypothesis import given
from hypothesis import strategies as st

from streams.engine import Outputs
from streams.journal.frame import Frame, Partition
from streams.journal.tables import Change, Tables
from tests.support.frames import APP, CONTROL, ORDERS, Ev, Journal, Said, by_topic, cut, fold, sources
from tests.support.journals import rules
from tests.support.profiles import law
from tests.support.repliers import CHOICES, NIGHTS, answering
from tests.support.travellers import CHANNELS, DAY, HOUR, MINUTE, Answered, Cut, Failed, Row, Text, Version
from tests.support.travelling import Interpreter

BASE, SECOND = 1_700_000_040_000, 1_000  # a full minute
LATEST = BASE + 20 * HOUR  # before anything expires
O1, O2 = ("openid", "wx", "o1"), ("openid", "wx2", "o2")
P1, P2 = ("phone", "", "+8613912340001"), ("phone", "", "+8613912340002")
WHO = (*[(O1,)] * 5, *[(O2,)] * 5, (P1,), (P2,), (O1, O2), (O1, O2), (O1, P1), (O2, P1), (O2, P2))
WAITED = ("x", "y")


@st.composite
def _steps(draw: st.DrawFn, names: Sequence[str]) -> list[Text]:
    steps: list[Text] = []
    for at, name in enumerate(names):
        later = [*names[at + 1 :], "end"]
        target = st.sampled_from(later)
        maybe = st.one_of(st.none(), st.none(), target)
        kind = draw(
            st.sampled_from(("wait", "wait_for", "wait_for", "wait_for", "emit", "emit", "tag", "branch", "split"))
        )
        kind = "exit" if draw(st.integers(0, 15)) == 0 else "wait" if at == 0 and draw(st.booleans()) else kind
        step: Text = {"name": name, "then": None if kind == "exit" else draw(maybe)}
        asked = [("fen", 3), ("tag", "hot")]
        asked += [("step", (one["name"], word)) for one in steps for word in _came(one)]
        step[kind] = {
            "wait": draw(st.sampled_from((1, 3, 8, 8))) * SECOND,
            "wait_for": {
                "of": draw(st.sampled_from(WAITED)),
                "within": draw(st.sampled_from((1, 4, 9, 9))) * SECOND,
                "on_timeout": draw(maybe),
            },
            "emit": {"choose": draw(CHOICES), "best_hour": draw(st.sampled_from((None, None, 3 * HOUR)))},
            "tag": draw(st.sampled_from(("hot", "cold"))),
            "branch": [(draw(st.sampled_from(asked)), draw(target)) for _ in range(draw(st.integers(1, 2)))],
            "split": [(50, draw(target)), (draw(st.sampled_from((10, 50))), draw(target))],
            "exit": "enough",
        }[kind]
        steps.append(step)
    return steps


def _came(step: Text) -> tuple[str, ...]:
    return ("came", "timeout") if "wait_for" in step else ("sent",) if "emit" in step else ()


NAMES = ("a", "b", "c", "d", "e", "f")


@st.composite
def journeys(draw: st.DrawFn, rule: str) -> list[Text]:
    """Versions of one journey: they begin and end alike."""
    said = {
        "rule": rule,
        "priority": draw(st.sampled_from((50, 100))),
        "enter": "enter",
        "wait": draw(st.sampled_from((0, 0, 2 * SECOND))),
        "exit_on": draw(st.sampled_from((("buy",), ("buy",), ()))),
        "re_entry": draw(st.sampled_from(("always", "always", "once", 6 * SECOND))),
        "most_inside": draw(st.sampled_from((None, None, 1, 2))),
        "most_entries": draw(st.sampled_from((None, None, 2))),
        "choose": draw(CHOICES),
        "best_hour": draw(st.sampled_from((None, HOUR, 9 * HOUR))),
        "expires": DAY,
    }
    return [
        said
        | {"version": version, "moves": draw(st.booleans())}
        | {"steps": draw(_steps(sorted(draw(st.sets(st.sampled_from(NAMES), min_size=2)))))}
        for version in (1, 2)
    ]


@st.composite
def histories(draw: st.DrawFn) -> list[Row]:
    """Journeys, events that come late, of ids that turn out to be one person's or are cut; a version in between."""
    one, two = draw(journeys("one")), draw(journeys("two"))
    now = BASE + draw(st.sampled_from((0, 50))) * SECOND
    rows: list[Row] = [Version(now, one[0])]
    if draw(st.booleans()):
        rows.append(Version(now, two[0]))
    known: set[tuple[str, str, str]] = set()
    for number in range(draw(st.integers(4, 24))):
        now += SECOND * draw(st.sampled_from((*[0, 0, 1, 1, 2, 4] * 4, 2_500)))
        what = draw(st.integers(0, 36))
        if what == 0:
            rows.append(Version(now, one[1]))
        elif what <= 2 and {O1, P1} <= known:
            rows.append(Cut(now, *draw(st.sampled_from(((O1, P1), (O2, P1), (O2, P2))))))
        elif what <= 8 and (messages := _messages(rows)):
            rows.append(Failed(now, *draw(st.sampled_from(messages))))
        elif what <= 16 and (messages := _messages(rows)):
            rows.append(draw(_answers(now, messages)))
        else:
            ids = draw(st.sampled_from(WHO))
            known |= set(ids)
            kind = draw(st.sampled_from(("enter", "enter", "enter", "x", "x", "y", "buy", "buy")))
            time = now - SECOND * draw(st.sampled_from((0, 0, 0, 0, 1, 3, 6)))
            on = draw(st.sampled_from((ORDERS, ORDERS, APP)))
            rows.append(Ev(now, kind, ids, time=time, fen=draw(st.integers(1, 6)), id=f"e{number:02}", on=on))
    return [row for row in rows if not isinstance(row, Cut) or {row.a, row.b} <= _before(rows, row)]


def _messages(rows: Sequence[Row]) -> list[tuple[str, str, str, int]]:
    """All that was sent by now: journey, step, the event that began it, the attempt."""
    return [one.message for one in Interpreter(rows).run(rows[-1].at).sent]


@st.composite
def _answers(draw: st.DrawFn, now: int, messages: Sequence[tuple[str, str, str, int]]) -> Answered:
    """Of the last attempt or an earlier one; at this hour, at one that comes, or long ago."""
    rule, step, event, last = draw(st.sampled_from(messages))
    status = draw(st.sampled_from(("opened", "clicked", "redeemed")))
    hours = draw(st.sampled_from((0, 1, 1, 2, 2, 2, -22, -21, -24 * 40)))
    return Answered(now, rule, step, event, draw(st.integers(0, last)), status, now + hours * HOUR)


def _before(rows: Sequence[Row], until: Row) -> set[tuple[str, str, str]]:
    seen = rows[: [row is until for row in rows].index(True)]
    return {id_ for row in seen if isinstance(row, Ev) for id_ in row.ids}


def _seconds(ms: int) -> str:
    return f"{ms // SECOND}s"


def _text(text: Text) -> str:
    again = text["re_entry"] if isinstance(text["re_entry"], str) else _seconds(text["re_entry"])
    when = {"of": text["enter"]} | ({"wait": _seconds(text["wait"])} if text["wait"] else {})
    send = {
        "topic": "triggers.message",
        "expires_after": _seconds(text["expires"]),
        "exit_on": [*text["exit_on"]],
        "re_entry": again,
    }
    send |= {"channels": [{"channel": channel, "to": kind} for channel, kind in CHANNELS]} | _best(text)
    journey: Text = {"steps": [_yaml_step(step) for step in text["steps"]]}
    journey |= {"running": "move" if text["moves"] else "finish", "most_inside": text["most_inside"]}
    if text["most_entries"]:
        journey["most_entries"] = {"most": text["most_entries"], "per": "month"}
    head = {"rule": text["rule"], "version": text["version"], "priority": text["priority"]}
    whole = head | {"when": {"event": when}, "send": send, "journey": journey}
    return str(yaml.dump(whole, Dumper=yaml.CSafeDumper))


def _yaml_step(step: Text) -> Text:
    said: Text = {"step": step["name"]} | ({"then": step["then"]} if step["then"] else {})
    if "wait" in step:
        said["wait"] = _seconds(step["wait"])
    if "wait_for" in step:
        waits = step["wait_for"]
        said["wait_for"] = {"of": waits["of"], "within": _seconds(waits["within"]), "on_timeout": waits["on_timeout"]}
    if "emit" in step:
        said["emit"] = {"content": {"step": step["name"]}} | _best(step["emit"])
    if "branch" in step:
        said["branch"] = [{"where": _cel(*ask), "then": target} for ask, target in step["branch"]]
    if "split" in step:
        said["split"] = [{"percent": percent, "then": target} for percent, target in step["split"]]
    return said | {kind: step[kind] for kind in ("tag", "exit") if kind in step}


def _best(asked: Text) -> Text:
    """What a journey or a message asks of delivery."""
    hour = {"best_hour_within": _seconds(asked["best_hour"])} if asked["best_hour"] else {}
    return hour | ({"choose": asked["choose"]} if asked["choose"] else {})


def _cel(kind: str, value: Any) -> str:
    if kind == "tag":
        return f'"{value}" in person.tags'
    return f'steps.{value[0]} == "{value[1]}"' if kind == "step" else f"event.amount_fen > {value}"


TOGETHER = (ORDERS, APP, CONTROL)
QUIET = frozenset((BASE // MINUTE + 1,))
"""The second minute is quiet."""


def _night(since: str, until: str) -> Said:
    said = {"delivery": "night", "version": 1, "zone": "UTC", "quiet_hours": {"since": since, "until": until}}
    return Said(0, "control", {"tenant": "*", "kind": "delivery", "text": yaml.safe_dump(said)})


def _item(row: Row) -> Ev | Said:
    if isinstance(row, Ev):
        return row
    if isinstance(row, Version):
        return Said(row.at, "control", rules("*", _text(row.text)))
    if isinstance(row, Failed | Answered):
        step = f"{row.step}/fallback-{row.attempt}" if row.attempt else row.step
        told = {"tenant": "t1", "trigger_id": _id(row.rule, step, row.event), "channel": "", "detail": ""}
        status, time = ("failed", row.at) if isinstance(row, Failed) else (row.status, row.time)
        return Said(row.at, "receipt", told | {"status": status, "time": time})
    a, b = ({"kind": kind, "scope": scope or None, "value": value} for kind, scope, value in (row.a, row.b))
    return Said(row.at, "command", {"tenant": "t1", "kind": "unlink", "a": a, "b": b, "time": row.at})


def _journal(rows: Sequence[Row], *, quiet: bool = False, lagging: bool = False) -> Journal:
    """A frame for the opening, one for each row, and one for the time after it."""
    night = [_night("22:15", "22:16")] if quiet else []
    return _opened(rows, night, lagging).lane(TOGETHER, [], dict.fromkeys((ORDERS, APP), LATEST))


def _opened(rows: Sequence[Row], night: Sequence[Said], lagging: bool = False) -> Journal:
    """A frame for the opening, and one for each row."""
    journal = Journal().lane(TOGETHER, [Said(0, "control", sources(ORDERS, APP)), *night])
    for row in rows:
        lane: tuple[Partition, ...] = TOGETHER
        if lagging:
            lane = (APP,) if isinstance(row, Ev) and row.on == APP else (ORDERS, CONTROL)
        journal.lane(lane, [_item(row)])
    return journal


def _decided(outputs: Sequence[Outputs]) -> list[tuple[Any, ...]]:
    return sorted(
        (at, d["verdict"], d["reason"], d["step"], d["due_time"], d["decided_time"], d["rule_version"], d["cause"][0])
        for at, output in enumerate(outputs, -1)
        for d in (one.record for one in output.public if one.subject == "decision")
    )


def _moved(outputs: Sequence[Outputs]) -> list[tuple[Any, ...]]:
    rows = []
    for at, output in enumerate(outputs, -1):
        batch = output.resolved.tables.get("journey_moves")
        moves = batch.to_pylist() if batch is not None else []
        rows += [(at, m["rule_version"], m["step"], m["why"], m["since_ms"], m["moved_time_ms"]) for m in moves]
    return sorted(rows)


@law
@given(histories(), st.booleans(), st.booleans())
def test_journeys_go_as_the_slow_interpreter_says(rows: list[Row], quiet: bool, lagging: bool) -> None:
    told = Interpreter(rows, QUIET if quiet else frozenset(), lagging).run(LATEST)
    _, outputs = fold(_journal(rows, quiet=quiet, lagging=lagging).frames)
    assert _moved(outputs) == sorted((at, v, step, why, since, now) for at, v, _, step, why, since, now in told.moves)
    assert _decided(outputs) == sorted(told.decisions)


@law
@given(answering(), st.booleans())
def test_best_channels_and_hours_are_those_of_the_slow_interpreter(rows: list[Row], quiet: bool) -> None:
    told = Interpreter(rows, NIGHTS if quiet else frozenset()).run(until := rows[-1].at + 30 * HOUR)
    journal = _opened(rows, [_night("22:00", "08:00")] if quiet else [])
    _, outputs = fold(journal.lane(TOGETHER, [], dict.fromkeys((ORDERS, APP), until)).frames)
    assert _decided(outputs) == sorted(told.decisions)
    channels = [(one.sent, one.channel, one.to[2]) for one in told.mail.letters]
    triggers = [one.record for output in outputs for one in output.public if one.subject == "trigger"]
    assert [(one["fired_time"], one["channel"], one["recipient"]["value"]) for one in triggers] == channels


@law
@given(histories(), st.booleans())
def test_nobody_gets_anything_after_leaving(rows: list[Row], quiet: bool) -> None:
    _, outputs = fold(_journal(rows, quiet=quiet).frames)
    left: dict[str, str] = {}
    for output in outputs:
        for record in (one.record for one in output.public if one.subject == "trigger"):
            why = left.get(_id(record["rule"], "", record["cause"][0]))
            assert why is None or (why == "finished" and "/fallback-" in record["step"])
        batch = output.resolved.tables.get("journey_moves")
        left |= {row["run"]: row["why"] for row in (batch.to_pylist() if batch is not None else ()) if not row["step"]}


def _id(rule: str, step: str, cause: str) -> str:
    return blake2b("\x1f".join(("t1", rule, step, cause)).encode(), digest_size=16).hexdigest()


@law
@given(histories(), st.data())
def test_no_batching_changes_a_journey(rows: list[Row], data: st.DataObject) -> None:
    whole = Journal().lane(TOGETHER, [Said(0, "control", sources(ORDERS, APP)), *map(_item, rows)])
    whole.lane(TOGETHER, [], dict.fromkeys((ORDERS, APP), LATEST))
    pieces: list[Frame] = cut(whole.frames[0], data.draw(st.integers(0, len(rows))))
    _, one = fold(whole.frames)
    _, two = fold([*pieces, *whole.frames[1:]])
    assert by_topic(one) == by_topic(two) == by_topic(fold(_journal(rows).frames)[1])


@law
@given(histories(), st.data())
def test_an_engine_restored_anywhere_goes_on_as_it_would_have(rows: list[Row], data: st.DataObject) -> None:
    frames = _journal(rows, quiet=True).frames
    at = data.draw(st.integers(0, len(frames)))
    engine, outputs = fold(frames)
    lost, _ = fold(frames[:at])
    kept = [Change(*msgpack.unpackb(msgpack.packb(tuple(row)), use_list=False)) for row in lost.tables.rows()]
    restored, later = fold(frames[at:], Tables(kept), at)
    assert by_topic(later) == by_topic(outputs[at:])
    assert msgpack.packb([tuple(row) for row in restored.tables.rows()]) == msgpack.packb(
        [tuple(row) for row in engine.tables.rows()]
    )


@law
@given(histories(), st.data())
def test_where_two_become_one_before_anybody_went_on_does_not_matter(rows: list[Row], data: st.DataObject) -> None:
    free = {"most_inside": None, "most_entries": None, "moves": False}
    alone = [replace(row, ids=row.ids[:1]) for row in rows if isinstance(row, Ev) and row.ids[0] in (O1, O2)]
    versions = {id(row): Version(row.at, row.text | free) for row in rows if isinstance(row, Version)}
    texts = list({row.text["rule"]: row for row in versions.values() if row.text["version"] == 1}.values())
    known = [Ev(BASE, "login", (id_,), time=BASE, id=f"k{id_[2]}") for id_ in (O1, O2)]
    begin: list[Row] = [*texts, *known]
    first = min(_goes_on([*begin, *alone]), _goes_on([*begin, *_linked(alone, 0)]) - 1) - len(begin)
    places = [data.draw(st.integers(0, max(0, min(first, len(alone))))) for _ in range(2)]
    sent = [_sent(fold(_journal([*begin, *_linked(alone, at)]).frames)[1]) for at in places]
    assert sent[0] == sent[1]


def _linked(events: Sequence[Ev], at: int) -> list[Ev]:
    received = events[at - 1].at if at else BASE
    return [*events[:at], Ev(received, "login", (O1, O2), time=received, id="link"), *events[at:]]


def _goes_on(rows: Sequence[Row]) -> int:
    """The first row at which more happened than that somebody entered."""
    told = Interpreter(rows).run(LATEST)
    went = [move[0] for move in told.moves if move[4] != "entered"]
    return int(min([len(rows), *(one[0] for one in told.decisions), *went]))


def _sent(outputs: Sequence[Outputs]) -> list[tuple[Any, ...]]:
    records = [one.record for output in outputs for one in output.public if one.subject == "trigger"]
    return sorted((one["trigger_id"], one["step"], one["due_time"], one["one_id"]) for one in records)


def test_the_quiet_minute_is_the_one_that_the_policy_names() -> None:
    assert (BASE // MINUTE + 1) % (24 * 60) == 22 * 60 + 15


@law
@given(histories(), st.sampled_from((O1, O2, P1, P2)))
def test_no_row_of_state_names_who_was_erased_inside_a_journey(rows: list[Row], who: tuple[str, str, str]) -> None:
    a = dict(zip(("kind", "scope", "value"), who, strict=True))
    erase = Said(rows[-1].at, "command", {"tenant": "t1", "kind": "erase", "a": a, "b": None, "time": LATEST})
    journal = _journal(rows)
    journal.frames.pop()
    before, _ = fold(journal.frames)
    theirs = frozenset(before.persons.members(before.persons.node("\x1f".join(("t1", *who))).one_id))
    engine, _ = fold(journal.lane(TOGETHER, [erase]).frames)
    gone = theirs - engine.tables.table("nodes").keys()
    for table, key, row in engine.tables.rows():
        assert not any(node in key or repr(node)[1:-1] in repr(row) for node in gone), table
    assert sum(engine.engage.standing().values()) == len(engine.tables.table("runs"))
