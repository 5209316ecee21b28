"""Faults of the core that these laws found, each as its smallest case. A mended one has lost its mark."""

from __future__ import annotations

from typing import Any

import pytest

from streams.engine import Engine, EngineConfig
from streams.journal.clock import MissingRange
from streams.journal.frame import REFUSAL, Frame, Partition, RawRange, no_events, no_ids
from streams.journal.tables import Tables
from streams.rules.book import Known, compile_rule
from streams.rules.conditions import compile_condition
from streams.rules.spec import InvalidRule, parse_rule
from tests.support.contract import written_and_read
from tests.support.frames import (
    APP,
    CONTROL,
    ORDERS,
    SALT,
    Ev,
    Journal,
    Said,
    by_topic,
    cut,
    fold,
    public,
    sources,
    tables,
)
from tests.support.journals import LANES, SHOPS, rule_text, rules
from tests.support.lines import RuleText
from tests.support.stories import BASE, COUPON, QUICK

HOUR = 3_600_000
LETTER: dict[str, Any] = {
    "stage": "ingest",
    "reason": "undecodable",
    "detail": "the bytes end too soon",
    "raw": b"\x00\xff",
    "raw_key": b"\xfe",
    "topic": CONTROL.topic,
    "partition": CONTROL.partition,
    "offset": 0,
    "schema_id": None,
    "time": BASE,
}
WX = (("openid", "wx", "o1"),)


def _rule(rule: RuleText, **changes: Any) -> dict[str, Any]:
    return rules("*", rule_text(RuleText(**{**rule.__dict__, **changes})))


def _accepted(frames: list[Frame]) -> int:
    return sum(output.counts["accepted"] for output in fold(frames)[1])


@pytest.mark.parametrize("gap", [[], [Ev(BASE - 30 * HOUR, id="before")]])
def test_a_repeat_soon_after_a_long_gap_is_a_duplicate(gap: list[Ev]) -> None:
    journal = Journal()
    for event in (*gap, Ev(BASE, id="e1"), Ev(BASE + 1, id="other"), Ev(BASE + 2, id="e1")):
        journal.add(event)
    assert _accepted(journal.frames) == len(gap) + 2


def test_a_frame_longer_than_the_window_forgets_as_its_pieces_do() -> None:
    journal = Journal().add(Ev(BASE - 1, id="start"))
    later = BASE + 26 * HOUR
    journal.add(Ev(BASE, id="e1"), Ev(later, id="e2"), Ev(later + 1, id="e3"), Ev(later + 2, id="e1"))
    pieces = [journal.frames[0], *cut(journal.frames[1], 1)]
    assert _accepted(pieces) == _accepted(journal.frames)


def _declared_mid_frame(members: tuple[Partition, ...]) -> list[Frame]:
    journal = Journal(partitions=(ORDERS, APP))
    journal.lane(LANES[1], [Ev(BASE, on=SHOPS)])
    before = (ORDERS, APP, SHOPS) if SHOPS not in members else (ORDERS, APP)
    said = [Said(BASE, "control", sources(*before)), Said(BASE, "control", _rule(COUPON))]
    journal.lane(LANES[0], [*said, Ev(BASE, "order_submitted", WX, "o1")])
    late = [Ev(BASE + 6_000), Ev(BASE + 7_000, "order_paid", order="o1")]
    journal.lane(LANES[0], [Said(BASE, "control", sources(*members)), *late])
    return journal.frames


@pytest.mark.parametrize("members", [(ORDERS, APP), (ORDERS, APP, SHOPS)])
def test_a_source_set_holds_from_its_place_in_the_frame(members: tuple[Partition, ...]) -> None:
    frames = _declared_mid_frame(members)
    pieces = [*frames[:-1], *cut(frames[-1], 0)]
    assert by_topic(fold(pieces)[1]) == by_topic(fold(frames)[1])


def test_the_clock_of_a_new_group_runs_from_its_place_in_the_frame() -> None:
    journal = Journal()
    late = Ev(BASE, "order_submitted", WX, "o1", time=BASE - 5_000)
    journal.add(Ev(BASE - 1), entries=[sources(ORDERS, APP)])
    journal.lane((ORDERS, APP, CONTROL), [Said(BASE, "control", _rule(QUICK)), late, Ev(BASE + 1_000)])
    pieces = [journal.frames[0], *cut(journal.frames[1], 0)]
    assert by_topic(fold(pieces)[1]) == by_topic(fold(journal.frames)[1])


def test_three_payments_without_an_order_are_forgotten_once() -> None:
    journal = Journal().rule(rule_text(COUPON))
    paid = [(BASE, BASE + 50), (BASE, BASE - 1), (BASE + 50, BASE - 2)]
    for at, time in paid:
        journal.add(Ev(at, "order_paid", order="o1", time=time))
    journal.add(Ev(BASE + 31 * 24 * HOUR))
    engine, _ = fold(journal.frames)
    assert len(engine.tables.table("instances")) == 0


def test_a_deadline_that_moves_and_moves_back_fires_once() -> None:
    journal = Journal()
    journal.add(entries=[sources(*journal.partitions)])
    for at, within in enumerate((20, 5, 25)):
        journal.add(entries=[_rule(COUPON, within=within * 1_000)])
        times = (10_000, 8_000, 5_000)
        journal.add(Ev(BASE + 10_000 + at, "order_submitted", WX, "o1", time=BASE + times[at]))
    journal.add(Ev(BASE + 31_000))
    journal.add(Ev(BASE + 32_000, "order_paid", order="o1", time=BASE + 30_000))
    assert len(by_topic(fold(journal.frames)[1]).get("triggers.revoked", [])) == 1


def test_progress_of_an_empty_undeclared_source_counts() -> None:
    journal = Journal()
    journal.lane(LANES[1], [], {SHOPS: BASE})
    assert fold(journal.frames)[0].clock.now == BASE


def test_a_gap_after_an_empty_first_frame_is_missing() -> None:
    empty, later = (Frame((RawRange(*SHOPS, at, at),), no_events(), no_ids()) for at in (0, 7))
    with pytest.raises(MissingRange):
        fold([empty, later])


def test_an_id_is_not_linked_to_itself() -> None:
    journal = Journal()
    one = {"kind": "openid", "scope": "wx", "value": "o1"}
    command = {"tenant": "t1", "kind": "link", "a": one, "b": one, "time": BASE}
    journal.lane((CONTROL,), [Said(BASE, "command", command)])
    assert tables(fold(journal.frames)[1]).get("identity_links", []) == []


def test_a_link_to_a_blocked_id_is_refused() -> None:
    journal = Journal()
    a, b = ({"kind": "phone", "scope": None, "value": value} for value in ("+8613900000001", "00000000"))
    command = {"tenant": "t1", "kind": "link", "a": a, "b": b, "time": BASE}
    journal.lane((CONTROL,), [Said(BASE, "command", command)])
    assert fold(journal.frames)[1][0].refused


@pytest.mark.parametrize(
    "text", ["a: 2020-13-45", "a: !!int x", "a: !!timestamp x", "a: !!omap 1", f"a: {'9' * 5_000}", "[" * 5_000]
)
def test_any_text_that_is_no_yaml_is_an_invalid_rule(text: str) -> None:
    with pytest.raises(InvalidRule):
        parse_rule(text)


def test_a_rule_cannot_send_to_the_topic_of_revocations() -> None:
    with pytest.raises(InvalidRule):
        compile_rule(rule_text(COUPON).replace("triggers.coupon", "triggers.revoked"))


def test_a_rule_cannot_wait_for_a_source_that_does_not_exist() -> None:
    with pytest.raises(InvalidRule):
        compile_rule(rule_text(RuleText(**{**QUICK.__dict__, "waits_for": ("nosuch",)})))


def test_a_condition_too_long_to_complain_about_is_an_invalid_rule() -> None:
    text = rule_text(COUPON).replace("event.amount_fen >= 5000", '"' + "(" * 70_000 + '"')
    with pytest.raises(InvalidRule):
        compile_rule(text)


def test_the_order_over_all_topics_does_not_depend_on_the_cut() -> None:
    journal = Journal().rule(rule_text(COUPON)).add(Ev(BASE, "order_submitted", WX, "o1"))
    journal.add(Ev(BASE + 6_000), Ev(BASE + 6_001, ids=(*WX, ("phone", "", "+8613900000001"))))
    pieces = [*journal.frames[:-1], *cut(journal.frames[-1], 1)]
    assert public(fold(pieces)[1]) == public(fold(journal.frames)[1])


@pytest.mark.parametrize("text", ['a: !!int ""', 'a: !!float ""', "a: !!bool x"])
def test_a_text_that_the_loader_stumbles_over_is_an_invalid_rule(text: str) -> None:
    with pytest.raises(InvalidRule):
        parse_rule(text)


def test_a_rule_that_was_once_taken_survives_a_restore_under_other_settings() -> None:
    journal = Journal().add(entries=[sources(ORDERS, APP), _rule(COUPON, waits_for=("kiosk",))])
    lost = Engine(0, EngineConfig(SALT, known=Known(("order", "kiosk"))), Tables())
    assert lost.step(0, journal.frames[0]).refused == []
    Engine(0, EngineConfig(SALT), Tables(lost.tables.rows()))


@pytest.mark.parametrize("where", ["event.category != 'shoes'", "event.amount_fen != 1", "!(event.order_id in ['o1'])"])
def test_a_comparison_with_a_field_that_is_not_there_is_false(where: str) -> None:
    absent: dict[str, object] = {"category": None, "amount_fen": None, "order_id": None, "properties": {}}
    assert not compile_condition(where)(absent)


def test_a_revocation_is_not_older_than_the_payment_that_caused_it() -> None:
    journal = Journal().rule(rule_text(COUPON)).add(Ev(BASE, "order_submitted", WX, "o1"), until=BASE + 5_000)
    journal.add(Ev(BASE + HOUR, "order_paid", order="o1", time=BASE))
    assert by_topic(fold(journal.frames)[1])["triggers.revoked"][0][3]["revoked_time"] == BASE + HOUR


def test_an_end_in_time_revokes_also_after_a_conversion() -> None:
    journal = Journal().rule(rule_text(COUPON)).add(Ev(BASE, "order_submitted", WX, "o1"), until=BASE + 5_000)
    journal.add(Ev(BASE + 6_000, "order_paid", order="o1"))
    journal.add(Ev(BASE + 7_000, "order_cancelled", order="o1", time=BASE + 1_000))
    assert by_topic(fold(journal.frames)[1])["triggers.revoked"]


def test_an_entry_that_comes_twice_under_its_id_does_nothing_the_second_time() -> None:
    receipt = {"delivery_id": "d", "tenant": "t1", "trigger_id": "x", "status": "sent", "detail": "", "time": BASE}
    bad = {"control_id": "c", "tenant": "*", "kind": "nosuch", "text": ""}
    journal = Journal()
    for at in (BASE, BASE + 1):
        journal.lane((CONTROL,), [Said(at, "receipt", receipt), Said(at, "control", bad)])
    _, outputs = fold(journal.frames)
    assert len(tables(outputs)["deliveries"]) == 1
    assert [len(output.refused) for output in outputs] == [1, 0]


def test_what_ingest_refused_goes_out_as_one_dead_letter_however_often_its_cut_comes() -> None:
    journal = Journal().lane((CONTROL,), [Said(BASE, REFUSAL, LETTER)])
    _, outputs = fold([*journal.frames, *journal.frames])
    ((topic, key, subject, record),) = public(outputs)
    assert (topic, subject, record) == ("events.deadletter", "dead_letter", LETTER)
    assert key.encode(errors="surrogateescape") == b"\xfe"
    assert written_and_read(subject, record) == LETTER
    (row,) = tables(outputs)["deadletters_raw"]
    names = ("stage", "reason", "topic", "schema_id", "raw_key", "raw")
    assert {name: row[name] for name in names} == {name: LETTER[name] for name in names}
    assert (row["raw_partition"], row["raw_offset"], row["received_ms"]) == (
        *(LETTER["partition"], LETTER["offset"], LETTER["time"]),
    )


def test_the_detail_of_a_dead_letter_is_stored_without_phones() -> None:
    letter = {**LETTER, "detail": "tenant 13800000001 is not known"}
    _, outputs = fold(Journal().lane((CONTROL,), [Said(BASE, REFUSAL, letter)]).frames)
    (row,) = tables(outputs)["deadletters_raw"]
    assert row["detail"] == "tenant 138****0001 is not known"


def test_what_an_operator_asked_for_and_cannot_be_done_is_a_dead_letter() -> None:
    journal = Journal().lane((CONTROL,), [Said(BASE, "control", {"tenant": "*", "kind": "nosuch", "text": ""})])
    _, outputs = fold(journal.frames)
    ((topic, _, subject, letter),) = public(outputs)
    assert (topic, subject, letter["offset"]) == ("events.deadletter", "dead_letter", 0)
    assert [row["reason"] for row in tables(outputs)["deadletters_raw"]] == [letter["reason"]]
    assert written_and_read(subject, letter) == letter
