"""Values that name nobody join nobody, however they are quoted; values that only look like them do."""

from __future__ import annotations

import pytest

from schemas.records import ID_KINDS
from streams.identity.policy import DEFAULT

NOBODY = ["", "0", "0000", "00000000-0000-0000-0000-000000000000", "-", "---", "-1", "1", "null", "NULL", "None", "nil"]
NOBODY += ["NaN", "undefined", "Unknown", "anonymous", "GUEST", "invalid", "test", "true", "false"]
QUOTES = ["{}", "'{}'", '"{}"', "“{}”", "\"'{}'\"", '"{}', "{}'"]
SOMEBODY = ["10", "-2", "11", "01", "-10", "2", "o1", "0a", "a0"]
SOMEBODY += ["nulls", "testing", "test1", "anonymous@x.cn", "guest house"]


@pytest.mark.parametrize("quoted", QUOTES)
@pytest.mark.parametrize("value", NOBODY)
def test_a_placeholder_is_blocked_in_any_quotes(value: str, quoted: str) -> None:
    assert DEFAULT.blocked("uid", quoted.format(value))


@pytest.mark.parametrize("kind", ID_KINDS)
def test_a_placeholder_is_blocked_for_every_kind(kind: str) -> None:
    assert DEFAULT.blocked(kind, "null")


@pytest.mark.parametrize("value", SOMEBODY)
def test_a_value_that_only_looks_like_a_placeholder_is_not_blocked(value: str) -> None:
    assert not DEFAULT.blocked("uid", value)


@pytest.mark.parametrize("phone", ["+8613800138000", "+8613800000000", "+8613000000000", "+8619000000000"])
def test_a_test_phone_is_blocked_as_a_phone_only(phone: str) -> None:
    assert DEFAULT.blocked("phone", phone)
    assert not DEFAULT.blocked("member_card", phone)


@pytest.mark.parametrize("phone", ["+8613800138001", "+8613900000001", "+86138001380001", "+113800138000"])
def test_a_real_phone_is_not_blocked(phone: str) -> None:
    assert not DEFAULT.blocked("phone", phone)


def test_kinds_rank_as_the_contract_lists_them() -> None:
    assert sorted(DEFAULT.ranks, key=DEFAULT.ranks.__getitem__) == list(ID_KINDS)
