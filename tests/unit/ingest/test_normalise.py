"""Normalising ids: what is kept in which form, and what is set aside for which reason."""

from __future__ import annotations

import pytest

from streams.ingest.identifiers import clean_one
from streams.journal.frame import Frame
from tests.unit.ingest.raw import APP, event, identity, intake, stand


def _frame(**changes: object) -> Frame:
    return intake().process(stand((APP, event(**changes)))).frames[0]


@pytest.mark.parametrize(
    ("kind", "scope", "value", "wanted"),
    [
        ("phone", None, " 138-0013-8000 ", ("phone", "", "+8613800138000")),
        ("phone", "shop", "+852 5123 4567", ("phone", "", "+85251234567")),
        ("phone", None, "010-6552 9988", ("phone", "", "+861065529988")),
        ("phone", None, "12345", "invalid_phone"),
        ("phone", None, "13800138000x", "invalid_phone"),
        ("phone", None, "0755****8000", "invalid_phone"),
        ("phone", None, "call 13800138000", "invalid_phone"),
        ("phone", None, "＋８６（１３８）００１３－８０００", ("phone", "", "+8613800138000")),
        ("email", None, " Li@Example.COM ", ("email", "", "li@example.com")),
        ("email", None, "li@example@com", "invalid_email"),
        ("email", None, "li", "invalid_email"),
        ("openid", " wx1 ", "o-1", ("openid", "wx1", "o-1")),
        ("openid", "  ", "o-1", "no_scope"),
        ("marketplace_id", None, "m-1", "no_scope"),
        ("member_card", None, "88", ("member_card", "", "88")),
        ("member_card", "shop", "88", ("member_card", "shop", "88")),
        ("unionid", "wx1", "Uu", ("unionid", "", "Uu")),
        ("uid", "x" * 300, "u", ("uid", "", "u")),
        ("uid", None, "　", "empty"),
        ("uid", None, "张" * 256, ("uid", "", "张" * 256)),
        ("uid", None, "张" * 257, "invalid_value"),
        ("uid", None, "a\x00b", "invalid_value"),
        ("uid", None, "a\x85b", "invalid_value"),
        ("openid", "wx\x7f1", "o-1", "invalid_value"),
        ("wechat", None, "", "unknown_kind"),
    ],
)
def test_an_id_is_cleaned_or_set_aside(kind: str, scope: str | None, value: str, wanted: object) -> None:
    assert clean_one(kind, scope, value) == wanted


def test_a_bad_id_is_set_aside_and_the_event_is_kept() -> None:
    frame = _frame(identities=[identity("phone", "1380"), identity("uid", "u-1"), identity("openid", "o-1")])
    assert frame.events["set_aside"].to_pylist() == ["phone:invalid_phone;openid:no_scope"]
    assert frame.ids.to_pylist() == [{"row": 0, "kind": "uid", "scope": "", "value": "u-1"}]


def test_ids_that_become_equal_count_once() -> None:
    phones = [identity("phone", "13800138000"), identity("phone", "+86 138 0013 8000"), identity("uid", "13800138000")]
    assert _frame(identities=phones).ids["value"].to_pylist() == ["+8613800138000", "13800138000"]


def test_a_good_referrer_is_cleaned() -> None:
    row = _frame(referrer=identity("phone", "13800138000", "shop")).events.to_pylist()[0]
    assert (row["referrer_kind"], row["referrer_scope"], row["referrer_value"]) == ("phone", "", "+8613800138000")


def test_a_bad_referrer_is_set_aside_and_the_event_is_kept() -> None:
    row = _frame(referrer=identity("openid", "o-1")).events.to_pylist()[0]
    assert (row["referrer_kind"], row["referrer_scope"], row["referrer_value"]) == (None, None, None)
    assert row["set_aside"] == "referrer_openid:no_scope"


def test_a_kind_that_is_no_plain_word_is_not_repeated() -> None:
    frame = _frame(identities=[identity("13800138000", "x"), identity("wechat", "x")])
    assert frame.events["set_aside"].to_pylist() == ["?:unknown_kind;wechat:unknown_kind"]
