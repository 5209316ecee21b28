"""Examples in rule files: those that we ship go as they say, and one that doesn't is told with what came instead."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.rehearsal import rehearse
from streams.rules.book import USUAL
from streams.rules.spec import InvalidRule, parse_rule

RULES = sorted((Path(__file__).parents[3] / "deploy" / "rules").glob("*.yaml"))
TEXT = """
rule: gift
version: 1
when: {event: {of: register, wait: 15m}}
send: {topic: triggers.coupon, expires_after: 1d, channels: [{channel: sms, to: phone, scope: null}]}
examples:
  - about: one
    given: [{at: "10:00", event: register, ids: {phone: "+8613912345670"}}]
    until: "1d 00:00"
    expect: [EXPECT]
"""


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.stem)
def test_the_examples_that_we_ship_go_as_they_say(path: Path) -> None:
    found = rehearse(path.read_text(encoding="utf-8"), USUAL)
    assert len(found) >= 3
    assert [one for one in found if one.differences] == []


@pytest.mark.parametrize(
    ("expect", "differences"),
    [
        ('{verdict: sent, at: "10:15", due: "10:15", channel: sms, recipient: "+8613912345670", reason: matched}', ()),
        ("", ("one decision more than expected: sent, matched",)),
        ("{verdict: suppressed}", ("decision 1: verdict is 'sent', expected 'suppressed'",)),
        ("{verdict: sent}, {verdict: converted}", ("missing: converted",)),
        (
            '{verdict: sent, at: "10:16"}',
            ("decision 1: at is 0d 10:15:00.000, expected 0d 10:16:00.000",),
        ),
    ],
)
def test_what_went_differently_is_told(expect: str, differences: tuple[str, ...]) -> None:
    (found,) = rehearse(TEXT.replace("EXPECT", expect), USUAL)
    assert found.differences == differences


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('"10:00"', "10:00", r"examples\.0\.given\.0\.at: Value error, a time is HH:MM"),
        ('"1d 00:00"', '"09:00"', r"examples\.0: Value error, given stands in the order of at"),
        ("phone: ", "fax: ", r"examples\.0\.given\.0\.ids\.fax"),
    ],
)
def test_a_wrong_example_is_an_invalid_rule(old: str, new: str, sentence: str) -> None:
    with pytest.raises(InvalidRule, match=sentence):
        parse_rule(TEXT.replace("EXPECT", "").replace(old, new))
