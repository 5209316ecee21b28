"""Why a rule did not match: the condition that failed, and on which event."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from streams.delivery.zones import zone
from streams.explain.case import Case, Finding, Happening, length
from streams.explain.matching import never_matched
from streams.rules.book import Compiled, compile_rule

HOUR, DAY = 3_600_000, 86_400_000
NOON = 1_700_020_800_000
"""12:00 in Shanghai."""
SHANGHAI = zone("Asia/Shanghai")
SEND = {"topic": "triggers.coupon", "expires_after": "1h", "channels": [{"channel": "sms", "to": "phone"}]}
UNPAID = {
    "absence": {
        "after": "order_submitted",
        "where": "event.amount_fen >= 5000",
        "of": "order_paid",
        "within": "1h",
        "same": "order_id",
        "waits_for": ["order", "pos"],
    }
}
QUIET = {"absence": {"after": "add_to_cart", "of": "order_submitted", "within": "1h", "same": "person"}}
PAPERS = {"count": {"of": "product_view", "where": 'event.category == "paper"', "at_least": 3, "within": "7d"}}
STEPS = {"sequence": {"steps": [{"event": "search"}, {"event": "add_to_cart"}], "within": "30m"}}
STAY = {"interval": {"since": "live_enter", "until": "live_leave", "at_least": "10m", "at_most": "6h"}}


def rule(when: Mapping[str, Any]) -> Compiled:
    return compile_rule(yaml.safe_dump({"rule": "r", "version": 3, "when": dict(when), "send": SEND}))


def event(kind: str, at: int = NOON, order: str | None = None, fen: int | None = 9_900, **more: Any) -> Happening:
    """An event that was received when it happened, unless `late` says how much later."""
    late, own = more.pop("late", 0), more.pop("own", True)
    texts = dict.fromkeys(("scene", "channel", "campaign", "item_id", "category"))
    fields = {"event_id": f"{kind}-{at}", "tenant": "t1", "event_type": kind, "event_time": at, "touchpoint": "app"}
    fields |= {**texts, "order_id": order, "amount_fen": fen, "properties": {}, **more}
    return Happening(f"{kind}-{at}", kind, at, at + late, fields, own)


def found(when: Mapping[str, Any], *happened: Happening, **more: Any) -> Finding:
    """The verdict, all sources having been read for a year unless told otherwise."""
    progress = more.pop("progress", {"events.raw.order/0": NOON + 365 * DAY, "events.raw.pos/0": NOON + 365 * DAY})
    assert SHANGHAI is not None
    now_ms = max(progress.values())
    case = Case(happened, more.get("order", ""), more.get("since", 0), now_ms, progress, SHANGHAI)
    return never_matched(rule(when), case)


def lines(finding: Finding) -> str:
    return "\n".join(point.text for point in finding.points)


def test_an_event_that_never_came() -> None:
    assert found(UNPAID).headline == "no order_submitted of this person has come"
    assert found(UNPAID, order="o1").headline == "no order_submitted of order o1 has come"


def test_an_amount_below_the_threshold() -> None:
    finding = found(UNPAID, event("order_submitted", order="o1", fen=4_900))
    assert (finding.state, finding.headline) == (
        "not_matched",
        "no order_submitted of this person meets the rule (1 came)",
    )
    assert "event.amount_fen is 4900" in lines(finding)


def test_another_order() -> None:
    finding = found(UNPAID, event("order_submitted", order="o2"), order="o1")
    assert (finding.state, finding.headline) == ("not_matched", "no order_submitted of order o1 has come")
    assert lines(finding) == "other orders of this person: o2"


def test_an_order_without_a_number() -> None:
    assert "it has no order_id" in lines(found(UNPAID, event("order_submitted")))


def test_a_payment_in_time_prevents_also_by_somebody_else_and_at_the_very_end() -> None:
    paid = event("order_paid", NOON + HOUR, order="o1", own=False)
    finding = found(UNPAID, event("order_submitted", order="o1"), paid)
    assert finding.state == "prevented"
    assert "in time, which was until 2023-11-15 13:00:00" in lines(finding)


def test_a_payment_before_the_order_prevents_on_an_order_and_not_on_a_person() -> None:
    assert found(UNPAID, event("order_paid", NOON - 1, "o1"), event("order_submitted", order="o1")).state == "prevented"
    assert found(QUIET, event("order_submitted", NOON - 1), event("add_to_cart")).state == "not_stored"
    assert found(QUIET, event("order_submitted", NOON), event("add_to_cart")).state == "prevented"


def test_a_source_that_is_behind_is_named() -> None:
    progress = {"events.raw.order/0": NOON + 2 * HOUR, "events.raw.pos/0": NOON + HOUR}
    finding = found(UNPAID, event("order_submitted", order="o1"), progress=progress)
    assert finding.state == "waiting"
    assert "events.raw.pos/0 is read to 2023-11-15 13:00:00" in lines(finding)
    assert "events.raw.order" not in lines(finding)


def test_a_millisecond_past_the_deadline_nothing_is_waited_for() -> None:
    progress = dict.fromkeys(("events.raw.order/0", "events.raw.pos/0"), NOON + HOUR + 1)
    assert found(UNPAID, event("order_submitted", order="o1"), progress=progress).state == "not_stored"


def test_a_source_that_is_waited_for_no_longer_than_the_rule_has_patience() -> None:
    patient = {"absence": {**UNPAID["absence"], "patience": "30m"}}
    for over_ms, state in ((-1, "waiting"), (0, "not_stored")):
        progress = {"events.raw.order/0": NOON + HOUR * 3 // 2 + over_ms, "events.raw.pos/0": NOON}
        finding = found(patient, event("order_submitted", order="o1"), progress=progress)
        assert finding.state == state
        assert ("it waits for them until 2023-11-15 13:30:00" in lines(finding)) == (state == "waiting")


def test_a_source_that_was_never_heard_of() -> None:
    progress = {"events.raw.order/0": NOON + 2 * HOUR, "events.raw.pos/0": 0}
    finding = found(UNPAID, event("order_submitted", order="o1"), progress=progress)
    assert "events.raw.pos/0 has not been heard of" in lines(finding)


def test_an_event_from_before_the_rule() -> None:
    finding = found(UNPAID, event("order_submitted", order="o1"), since=NOON + 1)
    assert "it came before the rule did" in lines(finding)


def test_too_few_in_the_best_window() -> None:
    views = [event("product_view", NOON + day * DAY, category="paper") for day in (0, 1, 8)]
    finding = found(PAPERS, *views, event("product_view", NOON + 2 * DAY, category="toys"))
    assert finding.headline == (
        "the most in any 7 d is 2 (in the 7 d until 2023-11-16 12:00:00), and the rule asks for 3"
    )
    assert 'event.category is "toys"' in lines(finding)


def test_one_that_came_more_than_a_week_late_counts_for_nothing() -> None:
    views = [
        event("product_view", NOON + at, category="paper", late=late) for at, late in ((0, 0), (1, 0), (2, 8 * DAY))
    ]
    finding = found(PAPERS, *views)
    assert "it came 8 d late; more than 7 d makes no match" in lines(finding)
    assert finding.headline.startswith("the most in any 7 d is 2")


def test_a_sum_leaves_out_what_has_no_amount() -> None:
    spent = {"sum": {"of": "order_paid", "value": "amount_fen", "at_least": 10_000, "within": "1d"}}
    finding = found(spent, event("order_paid", fen=6_000), event("order_paid", NOON + 1, fen=None))
    assert finding.headline.startswith("the most in any 1 d adds up to 6000")
    assert "it has no amount_fen that counts" in lines(finding)


def test_different_values_count_once() -> None:
    items = {"distinct": {"of": "product_view", "value": "item_id", "at_least": 2, "within": "1d"}}
    finding = found(items, event("product_view", item_id="a"), event("product_view", NOON + 1, item_id="a"))
    assert finding.headline.startswith("the most in any 1 d has so many different values: 1")


def test_steps_that_are_missing_in_another_order_or_too_far_apart() -> None:
    search, cart = event("search"), event("add_to_cart", NOON + HOUR)
    assert found(STEPS, search).headline == "step 2 of 2: no add_to_cart of this person has come"
    assert found(STEPS, search, event("add_to_cart", NOON - 1)).headline == (
        "all steps happened, but not in this order"
    )
    assert found(STEPS, search, cart).headline == ("out of the window: the steps took 1 h, and the rule allows 30 min")
    assert found(STEPS, search, event("add_to_cart", NOON + HOUR // 2)).state == "not_stored"


def test_a_stay_that_was_too_short() -> None:
    finding = found(STAY, event("live_enter"), event("live_leave", NOON + 180_000))
    assert finding.headline == "the time between them was 3 min, and the rule asks for 10 min to 6 h"
    assert found(STAY, event("live_enter"), event("live_leave", NOON - 1)).headline == (
        "no live_leave came after a live_enter"
    )


def test_a_wait_after_an_event_that_is_not_over() -> None:
    later = {"event": {"of": "register", "wait": "15m"}}
    progress = {"events.raw.app/0": NOON + 60_000}
    assert found(later, event("register"), progress=progress).state == "waiting"
    assert found(later, event("register")).state == "not_stored"


def test_events_of_another_person_count_only_for_orders() -> None:
    assert "it belongs to another person" in lines(found(STEPS, event("search", own=False)))


@pytest.mark.parametrize(
    ("ms", "told"), [(0, "0 ms"), (500, "500 ms"), (90_000, "1 min 30 s"), (DAY + HOUR + 1, "1 d 1 h")]
)
def test_lengths_are_told_in_their_two_largest_units(ms: int, told: str) -> None:
    assert length(ms) == told


def test_a_value_that_was_never_high_enough() -> None:
    points = {"threshold": {"of": "points", "value": "properties.balance", "at_least": 1_000}}
    low = [event("points", NOON + at, properties={"balance": text}) for at, text in enumerate(("900", "990", "many"))]
    finding = found(points, *low)
    assert (finding.state, finding.headline) == (
        "not_matched",
        "the most that was reported is 990, and the rule asks for 1000",
    )
    assert found(points, *low, event("points", NOON + 9, properties={"balance": "1000"})).state == "not_stored"
    assert found(points, low[2]).headline.startswith("no properties.balance that counts was reported")


def test_a_day_that_has_not_come_or_was_not_told() -> None:
    finding = found({"date": {"trait": "birthday", "at": "09:00"}})
    assert (finding.state, finding.headline[:37]) == ("waiting", "the day is what trait birthday says: ")
