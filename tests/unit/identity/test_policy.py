"""A policy says what it means, inherits what it leaves out, and is refused with the place of what is wrong."""

from __future__ import annotations

from hashlib import md5
from pathlib import Path

import pytest

from schemas.records import ID_KINDS
from streams.identity.defaults import TEXT
from streams.identity.policy import DEFAULT, Policies, compile_policy
from streams.identity.spec import InvalidPolicy, Limit, Values
from streams.journal.tables import Tables

POLICIES = Path(__file__).parents[3] / "deploy" / "policies"
HEAD = "policy: p\nversion: 3\n"


def test_the_default_that_we_ship_is_the_one_in_force() -> None:
    assert (POLICIES / "default.yaml").read_text(encoding="utf-8") == TEXT


def test_the_default_says_of_every_kind_who_may_show_it_and_how_many_a_person_holds() -> None:
    assert list(DEFAULT.kinds) == list(ID_KINDS)
    assert all(kind.limits and kind.values_line.startswith("default@1:") for kind in DEFAULT.kinds.values())
    assert DEFAULT.weak == {"device_id", "cookie"}


def test_a_refusal_names_the_line_of_the_text() -> None:
    policy = compile_policy(HEAD + "kinds:\n  phone:\n    hold:\n      - 2 ever\n      - 1 per 30d\n", DEFAULT)
    assert [line for _, line in policy.kinds["phone"].limits] == ["p@3:6 phone: 2 ever", "p@3:7 phone: 1 per 30d"]


def test_what_a_policy_leaves_out_is_as_in_the_default() -> None:
    policy = compile_policy(HEAD + "kinds: {phone: {hold: 1 ever}}", DEFAULT)
    assert policy.kinds["phone"].values is Values.EXCLUSIVE
    assert policy.kinds["cookie"] == DEFAULT.kinds["cookie"]


@pytest.mark.parametrize(
    ("limit", "times", "exceeded"),
    [
        (Limit(2, 0, ""), [0, 9], False),
        (Limit(2, 0, ""), [0, 9, 99], True),
        (Limit(2, 10, ""), [0, 9, 10], False),
        (Limit(2, 10, ""), [9, 0, 5], True),
        (Limit(2, 10, ""), [0, 9, 20, 29, 40], False),
        (Limit(1, 10, ""), [0, 100, 109], True),
    ],
)
def test_a_limit_counts_ever_or_within_any_span_of_its_time(limit: Limit, times: list[int], exceeded: bool) -> None:
    assert limit.exceeded(times) is exceeded


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("[", "not YAML"),
        ("- a", "a policy is a mapping"),
        ("policy: p", "version"),
        (HEAD + "kinds: {wechat: {hold: 1 ever}}", "kinds.wechat"),
        (HEAD + "kinds: {uid: {hold: many}}", "kinds.uid.hold.0"),
        (HEAD + "kinds: {uid: {hold: 0 ever}}", "kinds.uid.hold.0"),
        (HEAD + "kinds: {uid: {values: mine}}", "kinds.uid.values"),
        (HEAD + "kinds: {uid: {values: weak}}", "kinds.uid.values: uid is weak"),
        (HEAD + "priority: [uid]", "priority"),
        (HEAD + "blocked: [{pattern: '('}]", "blocked.0.pattern"),
        (HEAD + "hashed_phones: [{scope: a, algorithm: md4}]", "hashed_phones.0.algorithm"),
        (HEAD + "hashed_phones: [{scope: a, algorithm: md5}, {scope: a, algorithm: sha1}]", "hashed_phones.1.scope"),
    ],
)
def test_a_text_that_is_no_policy_is_refused_with_its_place(text: str, place: str) -> None:
    with pytest.raises(InvalidPolicy, match=place.replace(".", r"\.")):
        compile_policy(text, DEFAULT)


def test_a_tenant_blocks_values_in_any_case_and_quotes_and_patterns_of_one_kind() -> None:
    said = "blocked:\n  - values: [Walk-In]\n  - {kind: member_card, pattern: '9+'}\n"
    policy = compile_policy(HEAD + said, DEFAULT)
    assert policy.blocked("uid", "'WALK-IN'")
    assert policy.blocked("member_card", "999")
    assert not policy.blocked("uid", "999")
    assert not policy.blocked("member_card", "9990")
    assert policy.blocked("uid", "null")


def test_a_phone_is_hashed_as_the_shop_does_it() -> None:
    said = "hashed_phones: [{scope: s, algorithm: md5, salt: x, salt_at: end, form: national}]"
    policy = compile_policy(HEAD + said, DEFAULT)
    assert policy.hashes("+8613912340001") == [("s", md5(b"13912340001x").hexdigest())]


def test_a_tenants_own_policy_goes_before_everyones_and_an_older_version_is_refused() -> None:
    tables = Tables()
    policies = Policies(tables)
    policies.apply("*", HEAD)
    policies.apply("t1", HEAD.replace("3", "4"))
    assert [policies.of(tenant).version for tenant in ("t1", "t2")] == [4, 3]
    with pytest.raises(InvalidPolicy, match="4 is in force, 3 is older"):
        policies.apply("t1", HEAD)
    restored = Policies(Tables(tables.rows()))
    assert [restored.of(tenant).version for tenant in ("t1", "t2")] == [4, 3]
