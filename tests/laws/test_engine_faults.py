"""Faults of the core that were found by these laws, each as its smallest case. A mended one loses its mark."""

from __future__ import annotations

from typing import Any

import pytest

from streams.journal.clock import MissingRange
from streams.journal.frame import Frame, Partition, RawRange, no_events, no_ids
from streams.rules.book import compile_rule
from streams.rules.spec import InvalidRule, parse_rule
from tests.support.frames import APP, CONTROL, ORDERS, Ev, Journal, Said, by_topic, cut, fold, public, sources, tables
from tests.support.journals import LANES, SHOPS, rule_text, rules
from tests.support.oracle import RuleText
from tests.support.stories import BASE, COUPON, QUICK

HOUR = 3_600_000
WX = (("openid", "wx", "o1"),)


def fault(why: str) -> pytest.MarkDecorator:
    return pytest.mark.xfail(strict=True, reason=why)


def _rule(rule: RuleText, **changes: Any) -> dict[str, Any]:
    return rules("*", rule_text(RuleText(**{**rule.__dict__, **changes})))


def _accepted(frames: list[Frame]) -> int:
    return sum(output.counts["accepted"] for output in fold(frames)[1])


@fault("dedup files an event under the time before it; after a gap, or as the very first, it is forgotten at once")
@pytest.mark.parametrize("gap", [[], [Ev(BASE - 30 * HOUR, id="before")]])
def test_a_repeat_soon_after_a_long_gap_is_a_duplicate(gap: list[Ev]) -> None:
    journal = Journal()
    for event in (*gap, Ev(BASE, id="e1"), Ev(BASE + 1, id="other"), Ev(BASE + 2, id="e1")):
        journal.add(event)
    assert _accepted(journal.frames) == len(gap) + 2


@fault("what a frame itself brought is not forgotten before the frame ends")
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


@fault("a source set holds only from the next frame on")
@pytest.mark.parametrize("members", [(ORDERS, APP), (ORDERS, APP, SHOPS)])
def test_a_source_set_holds_from_its_place_in_the_frame(members: tuple[Partition, ...]) -> None:
    frames = _declared_mid_frame(members)
    pieces = [*frames[:-1], *cut(frames[-1], 0)]
    assert by_topic(fold(pieces)[1]) == by_topic(fold(frames)[1])


@fault("the clock of a rule's new group stands at 0 until the frame ends")
def test_the_clock_of_a_new_group_runs_from_its_place_in_the_frame() -> None:
    journal = Journal()
    late = Ev(BASE, "order_submitted", WX, "o1", time=BASE - 5_000)
    journal.add(Ev(BASE - 1), entries=[sources(ORDERS, APP)])
    journal.lane((ORDERS, APP, CONTROL), [Said(BASE, "control", _rule(QUICK)), late, Ev(BASE + 1_000)])
    pieces = [journal.frames[0], *cut(journal.frames[1], 0)]
    assert by_topic(fold(pieces)[1]) == by_topic(fold(journal.frames)[1])


@fault("a timer that is set back to an earlier value stands in the heap twice and is ripe twice: KeyError, shard stops")
def test_three_payments_without_an_order_are_forgotten_once() -> None:
    journal = Journal().rule(rule_text(COUPON))
    paid = [(BASE, BASE + 50), (BASE, BASE - 1), (BASE + 50, BASE - 2)]
    for at, time in paid:
        journal.add(Ev(at, "order_paid", order="o1", time=time))
    journal.add(Ev(BASE + 31 * 24 * HOUR))
    engine, _ = fold(journal.frames)
    assert len(engine.tables.table("instances")) == 0


@fault("the same: the second time drops the instance that was just sent, so its payment revokes nothing")
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


@fault("a partition whose first frame is empty is not noted, so progress in that frame is lost")
def test_progress_of_an_empty_undeclared_source_counts() -> None:
    journal = Journal()
    journal.lane(LANES[1], [], {SHOPS: BASE})
    assert fold(journal.frames)[0].clock.now == BASE


@fault("the same: and a gap after it goes unnoticed")
def test_a_gap_after_an_empty_first_frame_is_missing() -> None:
    empty, later = (Frame((RawRange(*SHOPS, at, at),), no_events(), no_ids()) for at in (0, 7))
    with pytest.raises(MissingRange):
        fold([empty, later])


@fault("an operator's link of an id to itself is a fact")
def test_an_id_is_not_linked_to_itself() -> None:
    journal = Journal()
    one = {"kind": "openid", "scope": "wx", "value": "o1"}
    command = {"command_id": "c", "tenant": "t1", "kind": "link", "a": one, "b": one, "time": BASE}
    journal.lane((CONTROL,), [Said(BASE, "command", command)])
    assert tables(fold(journal.frames)[1]).get("identity_links", []) == []


@fault("an operator's link that joins nobody, since one id is blocked, is dropped without a word")
def test_a_link_to_a_blocked_id_is_refused() -> None:
    journal = Journal()
    a, b = ({"kind": "phone", "scope": None, "value": value} for value in ("+8613900000001", "00000000"))
    command = {"command_id": "c", "tenant": "t1", "kind": "link", "a": a, "b": b, "time": BASE}
    journal.lane((CONTROL,), [Said(BASE, "command", command)])
    assert fold(journal.frames)[1][0].refused


@fault("PyYAML raises more than YAMLError: ValueError, AttributeError, RecursionError")
@pytest.mark.parametrize("text", ["a: 2020-13-45", "a: !!int x", "a: !!timestamp x", f"a: {'9' * 5_000}", "[" * 5_000])
def test_any_text_that_is_no_yaml_is_an_invalid_rule(text: str) -> None:
    with pytest.raises(InvalidRule):
        parse_rule(text)


@fault("a rule may send to triggers.revoked, whose readers expect another schema")
def test_a_rule_cannot_send_to_the_topic_of_revocations() -> None:
    with pytest.raises(InvalidRule):
        compile_rule(rule_text(COUPON).replace("triggers.coupon", "triggers.revoked"))


@fault("events.raw.<source> of a waits_for that is no source: the rule waits for ever, and says nothing")
def test_a_rule_cannot_wait_for_a_source_that_does_not_exist() -> None:
    with pytest.raises(InvalidRule):
        compile_rule(rule_text(RuleText(**{**QUICK.__dict__, "waits_for": ("nosuch",)})))


@fault("the library panics, with a BaseException, where a syntax error stands after column 65535")
def test_a_condition_too_long_to_complain_about_is_an_invalid_rule() -> None:
    text = rule_text(COUPON).replace("event.amount_fen >= 5000", '"' + "(" * 70_000 + '"')
    with pytest.raises(InvalidRule):
        compile_rule(text)


@fault("identity changes of a frame stand before its decisions, so the order over all topics depends on the cut")
def test_the_order_over_all_topics_does_not_depend_on_the_cut() -> None:
    journal = Journal().rule(rule_text(COUPON)).add(Ev(BASE, "order_submitted", WX, "o1"))
    journal.add(Ev(BASE + 6_000), Ev(BASE + 6_001, ids=(*WX, ("phone", "", "+8613900000001"))))
    pieces = [*journal.frames[:-1], *cut(journal.frames[-1], 1)]
    assert public(fold(pieces)[1]) == public(fold(journal.frames)[1])
