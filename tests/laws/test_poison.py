"""What makes our own code raise is left out whole, once, and alike by whoever folds; the others never notice."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.codec import encode
from schemas.frames import encode_resolved
from schemas.registry import LocalRegistry
from streams.backtest import Shards
from streams.cli.lines import parse_line
from streams.engine import Engine, EngineConfig, Outputs
from streams.isolate import TRIES, Isolating, TooManyFaults
from streams.journal.frame import Frame, decode_frame, encode_frame
from streams.journal.tables import Tables
from streams.poison import Poisoned
from streams.worker.state.store import MemoryStore, Position, rows_of
from tests.support.frames import APP, SALT, Ev, Journal, Said, by_topic, cut, fold, public, tables
from tests.support.journals import frames_of, rule_text
from tests.support.planted import Planted, bad_events, bad_timers
from tests.support.profiles import law
from tests.support.stories import BASE, COUPON, Story, stories

DEADLETTER = "events.deadletter"
WX = (("openid", "wx", "o1"),)
PHONE = (("phone", "", "+8613900000001"),)


@contextmanager
def planted() -> Iterator[None]:
    """A third of all events, and the timers of those who have an openid of one account."""
    with bad_events(lambda id_: id_.endswith(("3", "6", "9"))), bad_timers(lambda nodes: any("wx" in n for n in nodes)):
        yield


def shards(frames: Iterable[Frame], most: int = 1_000) -> tuple[Engine, list[Outputs]]:
    """The fold of a backtest."""
    folded = Shards(EngineConfig(SALT, most_faults=most))
    outputs = [folded.step(0, at, frame) for at, frame in enumerate(frames)]
    return folded.engines.get(0, fold([])[0]), outputs


def live(frames: Sequence[Frame], batches: Sequence[int], most: int = 1_000) -> list[Outputs]:
    """The fold of a worker: batches of so many frames, each committed to a store that the engine is made anew from."""
    store = MemoryStore()
    isolating = Isolating(lambda: Engine(0, EngineConfig(SALT), Tables(rows_of(store))), most)
    outputs: list[Outputs] = []
    start = 0
    for size in (*batches, len(frames)):
        batch = list(enumerate(frames))[start : start + size]
        outputs += isolating.fold(batch)
        store.commit(isolating.engine.tables.take_changes(), Position(start + len(batch), 0))
        start += len(batch)
    return outputs


def left_out(outputs: Iterable[Outputs]) -> list[dict[str, Any]]:
    """Dead letters for faults of ours."""
    letters = [record for topic, _, _, record in public(outputs) if topic == DEADLETTER]
    return [letter for letter in letters if letter["reason"] == "internal_fault"]


@law
@given(stories(untrue=True))
def test_any_cutting_leaves_out_the_same_and_gives_the_same_records_and_tables(story: Story) -> None:
    with planted():
        _, whole = shards(story.frames)
        _, lines = shards(frames_of(story.lines))
    assert by_topic(lines) == by_topic(whole)
    assert tables(lines) == tables(whole)


@law
@given(stories(untrue=True), st.lists(st.integers(1, 5), max_size=8))
def test_a_worker_leaves_out_what_a_replay_of_its_journal_does_byte_for_byte(story: Story, batches: list[int]) -> None:
    with planted():
        worked = live(story.frames, batches)
        _, replayed = shards(decode_frame(encode_frame(frame)) for frame in story.frames)
    assert public(worked) == public(replayed)
    assert [encode_resolved(one.resolved) for one in worked] == [encode_resolved(one.resolved) for one in replayed]
    assert [one.counts for one in worked] == [one.counts for one in replayed]


@law
@given(stories(untrue=True))
def test_every_row_is_accepted_a_duplicate_a_repeat_or_left_out(story: Story) -> None:
    with planted():
        _, outputs = shards(story.frames)
    for frame, output in zip(story.frames, outputs, strict=True):
        rows = ("accepted", "duplicate", "repeated", "isolated")
        assert sum(output.counts[outcome] for outcome in rows) == frame.events.num_rows


@law
@given(stories())
def test_where_nothing_raises_isolating_is_the_plain_fold(story: Story) -> None:
    _, plain = fold(story.frames)
    assert public(live(story.frames, [2])) == public(plain)
    assert left_out(plain) == []


def _journal(*events: Ev) -> Journal:
    return Journal().rule(rule_text(COUPON)).add(*events, until=BASE + 5_000)


def _order(at: int, order: str, id_: str, ids: Any = WX) -> Ev:
    return Ev(BASE + at, "order_submitted", ids, order, id=id_)


def test_the_others_are_as_if_it_had_never_come() -> None:
    around = [_order(0, "a", "e1"), Ev(BASE + 2, ids=PHONE, id="e2")]
    poison = Ev(BASE + 1, "order_submitted", WX + PHONE, "b", id="poison")
    silent = Ev(BASE + 1, "page_view", id="silent")
    with bad_events(lambda id_: id_ == "poison"):
        engine, outputs = shards(_journal(around[0], poison, around[1]).frames)
    other, expected = shards(_journal(around[0], silent, around[1]).frames)
    (letter,) = left_out(outputs)
    assert [one for one in public(outputs) if one[3] != letter] == public(expected)
    kept = {row for row in map(tuple, engine.tables.rows()) if row[0] not in ("dedup", "faults")}
    assert kept == {row for row in map(tuple, other.tables.rows()) if row[0] != "dedup"}


def test_its_dead_letter_says_where_it_stood_and_what_raised_but_no_id() -> None:
    event = Ev(BASE + 1, "order_submitted", PHONE, "b", id="poison", fen=100, on=APP)
    with bad_events(lambda id_: id_ == "poison"):
        (letter,) = left_out(shards(_journal(event).frames)[1])
    assert letter["detail"].startswith("Planted in streams.engine._take_event, line ")
    assert (letter["stage"], letter["topic"], letter["partition"], letter["offset"]) == ("engine", *APP, 0)
    assert letter["time"] == BASE + 1
    assert encode("dead_letter", letter, LocalRegistry().id_of("dead_letter"))


def test_its_bytes_can_be_published_again() -> None:
    event = Ev(BASE + 1, "order_submitted", WX + PHONE, "b", id="poison", fen=100, on=APP)
    with bad_events(lambda id_: id_ == "poison"):
        (letter,) = left_out(shards(_journal(event).frames)[1])
    line = parse_line(letter["raw"].decode())
    assert (line.source, line.received_ms) == ("app", BASE + 1)
    assert (line.event["event_id"], line.event["order_id"], line.event["amount_fen"]) == ("poison", "b", 100)
    assert [one["value"] for one in line.event["identities"]] == ["o1", "+8613900000001"]


def test_a_mended_release_takes_it_when_it_is_sent_again() -> None:
    event = _order(1, "b", "poison")
    journal = _journal(event)
    with bad_events(lambda id_: id_ == "poison"):
        engine, _ = shards(journal.frames)
    again = journal.add(_order(70_000, "b", "poison")).frames[-1]
    assert engine.step(9, again).counts["accepted"] == 1


def test_a_timer_that_raises_is_given_up_and_the_others_fire() -> None:
    journal = _journal(_order(0, "a", "e1", PHONE), _order(1, "b", "e2"))
    with bad_timers(lambda nodes: "phone" in str(nodes)):
        engine, outputs = shards(journal.frames)
    (letter,) = left_out(outputs)
    assert json.loads(letter["raw"])["business_key"] == "a"
    assert [record["business_key"] for _, _, subject, record in public(outputs) if subject == "trigger"] == ["b"]
    assert len(engine.engage.timers) == 1


def test_a_command_that_raises_is_left_out_as_an_event_is() -> None:
    sides = ({"kind": kind, "scope": scope or None, "value": value} for kind, scope, value in WX + PHONE)
    command = {
        "command_id": "poison",
        "tenant": "t1",
        "kind": "link",
        "time": BASE,
        **dict(zip("ab", sides, strict=True)),
    }
    journal = Journal().lane(
        [APP], [Ev(BASE, id="e1", on=APP), Said(BASE, "command", command, APP), Ev(BASE, id="e2", on=APP)]
    )
    with bad_events(lambda id_: id_ == "poison"):
        _, outputs = shards(journal.frames)
    (letter,) = left_out(outputs)
    assert json.loads(letter["raw"]) == command
    assert outputs[0].counts["accepted"] == 2


def test_what_raises_once_or_twice_and_then_no_more_is_not_left_out() -> None:
    raises = [True] * (TRIES - 1)
    with bad_events(lambda id_: id_ == "e2" and bool(raises) and raises.pop()):
        _, outputs = shards(_journal(_order(0, "a", "e1"), _order(1, "b", "e2")).frames)
    assert left_out(outputs) == []
    assert public(outputs) == public(fold(_journal(_order(0, "a", "e1"), _order(1, "b", "e2")).frames)[1])


def test_more_than_are_allowed_stop_the_fold_also_over_several_batches() -> None:
    events = [_order(at, f"o{at}", f"e{at}") for at in range(4)]
    declared, together = _journal(*events).frames
    frames = [declared, *_pieces(together)]
    with bad_events(lambda _: True):
        assert len(left_out(live(frames, [1] * 9, most=4))) == 4
        for batches in ([1] * 9, [9]):
            with pytest.raises(TooManyFaults, match=r"worker\.most_faults"):
                live(frames, batches, most=3)


def _pieces(frame: Frame) -> list[Frame]:
    first, rest = cut(frame, 1)
    return [first, *_pieces(rest)] if rest.events.num_rows > 1 else [first, rest]


def test_an_hour_later_more_are_allowed() -> None:
    hour = 3_600_000
    journal = Journal()
    for at in range(6):
        journal.add(Ev(BASE + at * 2 * hour, ids=WX, id=f"e{at}"))
    with bad_events(lambda _: True):
        assert len(left_out(live(journal.frames, [1] * 6, most=1))) == 6


def test_what_raises_outside_of_any_item_is_not_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def raising(*_: Any) -> None:
        raise Planted

    monkeypatch.setattr("streams.journal.clock.Clock.end", raising)
    with pytest.raises(Poisoned, match=r"Planted in streams\.engine\.step") as raised:
        shards(_journal(_order(0, "a", "e1")).frames)
    assert raised.value.__cause__ is None


def test_memory_that_is_gone_is_no_poison(monkeypatch: pytest.MonkeyPatch) -> None:
    def raising(*_: Any) -> None:
        raise MemoryError

    monkeypatch.setattr("streams.identity.persons.Persons.resolve", raising)
    with pytest.raises(MemoryError):
        shards(_journal(_order(0, "a", "e1")).frames)
