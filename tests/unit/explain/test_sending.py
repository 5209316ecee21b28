"""What delivery made of a match: its last decision, the caps as they stood, the ways to the person."""

from __future__ import annotations

from streams.delivery.channels import Route
from streams.delivery.policy import parse_policy
from streams.delivery.reasons import Why
from streams.delivery.zones import zone
from streams.explain.case import Case, Happening
from streams.explain.sending import Decided, KnownId, Sent, before, caps, decided, reason, ways

HOUR = 3_600_000
NOON = 1_700_020_800_000
SHANGHAI = zone("Asia/Shanghai")
POLICY = parse_policy("""
delivery: usual
version: 1
caps: [{most: 2, per: month}]
channels:
  push:
    caps: [{most: 1, within: 1d}]
    reply_windows: [{event: message, touchpoint: official_account, open_for: 48h}]
""")
PUSH, SMS = Route("push", "openid", "wx1"), Route("sms", "phone", None)


def case(*happened: Happening) -> Case:
    assert SHANGHAI is not None
    return Case(happened, "", 0, NOON, {}, SHANGHAI)


def message(at: int, touchpoint: str = "official_account") -> Happening:
    return Happening("m1", "message", at, at, {"touchpoint": touchpoint, "order_id": None})


def decision(verdict: str, why: str, at: int = NOON) -> Decided:
    return Decided("t1", 3, "o1", verdict, why, NOON - HOUR, at, ("e1",))


def sent(channel: str, at: int, *, failed: bool = False) -> Sent:
    return Sent(f"{channel}-{at}", "r", channel, "phone +86139****5678", at, failed)


def test_every_reason_is_a_sentence() -> None:
    assert all(" " in reason(why.value) for why in Why)
    assert reason("of_a_later_version") == "of_a_later_version"


def test_the_last_decision_is_the_verdict_and_all_are_told() -> None:
    history = [decision("deferred", "quiet_hours", NOON - HOUR), decision("suppressed", "total_cap")]
    finding = decided(history, [], case())
    assert finding.headline == "at 2023-11-15 12:00:00: the caps over all channels were used up"
    assert [point.text for point in finding.points] == [
        "due 2023-11-15 11:00:00",
        "2023-11-15 11:00:00  deferred, quiet_hours",
        "2023-11-15 12:00:00  suppressed, total_cap",
    ]


def test_a_line_names_the_step_and_the_sources_that_it_was_decided_without() -> None:
    one = decision("suppressed", "total_cap")._replace(step="gift/fallback-1", late_sources=("order", "pos"))
    line = decided([one], [], case()).points[-1].text
    assert line == (
        "2023-11-15 12:00:00  gift/fallback-1: suppressed, total_cap, without order, pos, not read past its end"
    )


def test_what_was_sent_names_channel_and_masked_recipient() -> None:
    way = Sent("t1", "r", "sms", "phone +86139****5678", NOON)
    assert decided([decision("sent", "matched")], [way], case()).headline == (
        "over sms to phone +86139****5678 at 2023-11-15 12:00:00"
    )


def test_a_note_is_no_verdict() -> None:
    history = [decision("sent", "matched"), decision("noted", "cap_exceeded_by_merge", NOON + 1)]
    assert decided(history, [], case()).state == "sent"


def test_caps_are_counted_as_they_stood_without_what_failed() -> None:
    sends = [sent("push", NOON - HOUR), sent("sms", NOON - HOUR, failed=True), sent("sms", NOON + 1)]
    told = caps(POLICY, ["push", "sms"], before(sends, [], NOON), NOON, case())
    assert [(point.holds, point.text) for point in told] == [
        (True, "all channels: 1 of 2 used this month"),
        (False, "push: 1 of 1 used in 1 d"),
    ]


def test_what_was_sent_in_the_same_millisecond_counts_against_what_was_not_sent() -> None:
    sends = [sent("push", NOON), Sent("t1", "r", "sms", "", NOON)]
    assert before(sends, [decision("sent", "matched")], NOON) == []
    assert before(sends, [decision("suppressed", "total_cap")], NOON) == sends[:1]


def test_a_channel_that_no_id_fits() -> None:
    ids = [KnownId("openid", "wx2", "o-1"), KnownId("phone", "", "+86139****5678")]
    assert [(point.holds, point.text) for point in ways([PUSH, SMS], ids, POLICY, NOON, case())] == [
        (False, "push: the person has no openid of wx1"),
        (True, "sms: +86139****5678"),
    ]


def test_a_reply_window_that_is_open_closed_or_was_never_opened() -> None:
    ids = [KnownId("openid", "wx1", "o-1")]

    def told(*happened: Happening) -> str:
        return next(ways([PUSH], ids, POLICY, NOON, case(*happened))).text

    assert told(message(NOON - 48 * HOUR)) == "push: o-1"
    assert told(message(NOON - 48 * HOUR - 1)) == "push: o-1, but its window closed at 2023-11-15 11:59:59.999"
    assert told(message(NOON, "app")) == "push: o-1, but nothing opened it (message@official_account)"
