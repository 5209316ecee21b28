"""The delivery policy: the shipped one is good, and each wrong field gives one sentence with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.delivery.policies import Policies
from streams.delivery.policy import OPEN, InvalidPolicy, parse_policy
from streams.journal.tables import Tables

SHIPPED = (Path(__file__).parents[3] / "deploy" / "policies" / "delivery.yaml").read_text(encoding="utf-8")
HEAD = "delivery: d\nversion: 1\n"


def test_the_policy_that_we_ship_is_good() -> None:
    policy = parse_policy(SHIPPED)
    assert policy.channel("official_account").counted[0].most == 4
    assert policy.quiet_hours is not None
    assert policy.quiet_hours.hours == (22 * 60, 8 * 60)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("delivery: d", "version: Field required"),
        (HEAD + "zone: Mars/Base", "zone: Value error, no zone is named Mars/Base"),
        (HEAD + "zone: ../etc", "zone: Value error, no zone is named ../etc"),
        (
            HEAD + "quiet_hours: {since: 22:00, until: '08:00'}",
            "quiet_hours.since: Value error, a time of",
        ),
        (HEAD + "quiet_hours: {since: '24:00', until: '08:00'}", "quiet_hours.since: Value error, a time of day"),
        (
            HEAD + "quiet_hours: {since: '08:00', until: '08:00'}",
            "quiet_hours: Value error, since and until",
        ),
        (HEAD + "caps: [{most: 1}]", "caps.0: Value error, a cap has either within or per"),
        (HEAD + "caps: [{most: 1, within: 1d, per: day}]", "caps.0: Value error, a cap has either within or per"),
        (HEAD + "caps: [{most: 0, per: day}]", "caps.0.most: Input should be greater than or equal to 1"),
        (HEAD + "channels: {sms: {cost: 5}}", "channels.sms.cost: Extra inputs are not permitted"),
        (HEAD + "holdout_percent: 101", "holdout_percent: Input should be less than or equal to 100"),
        (HEAD + "traits: {zone: {of: register}}", "traits.zone.property: Field required"),
        ("[", "not YAML: "),
    ],
)
def test_a_wrong_field_gives_one_sentence_with_its_place(text: str, sentence: str) -> None:
    with pytest.raises(InvalidPolicy, match="^" + sentence.replace("[", r"\[")):
        parse_policy(text)


def test_a_tenants_own_policy_goes_before_everyones_and_nobodys_is_open() -> None:
    policies = Policies(Tables())
    assert policies.of("t1") is OPEN
    every = policies.apply("*", HEAD)
    own = policies.apply("t1", HEAD)
    assert (policies.of("t1"), policies.of("t2")) == (own, every)


def test_an_older_version_is_refused_and_changes_nothing() -> None:
    tables = Tables()
    policies = Policies(tables)
    policies.apply("*", "delivery: d\nversion: 2\n")
    with pytest.raises(InvalidPolicy, match="2 is in force, 1 is older"):
        policies.apply("*", HEAD)
    assert Policies(tables).of("t1").version == 2
