"""What `siyu policy lint` says: the right line, and how to mend it."""

from pathlib import Path

import pytest

from streams.cli.failure import Misuse
from streams.cli.identity import identity_of
from streams.cli.linting import Fault, lint_policy
from streams.identity.policy import MergePolicy

POLICIES = Path(__file__).parents[3] / "deploy" / "policies"
GOOD = (POLICIES / "default.yaml").read_text(encoding="utf-8")


SHIPPED = [path for path in sorted(POLICIES.glob("*.yaml")) if path.stem != "delivery"]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_merge_policy_that_we_ship_is_good(path: Path) -> None:
    assert isinstance(lint_policy(path.read_text(encoding="utf-8")), MergePolicy)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("hold: 2 ever", "hold: 2 evr", "such as 1 ever or 5 per 7d"),
        ("hold: 2 ever", "holds: 2 ever", "kinds.marketplace_id.holds is not known here: did you mean hold?"),
        ("blocked: []", "blocked: [{value: x}]", "blocked.0.value is not known here: did you mean values?"),
        ("blocked: []", "blocks: []", "blocks is not known here: did you mean blocked?"),
        ("  - uid\n", "", "priority: every kind stands there once, and uid does not"),
        ("version: 1", "version: none", "version is not right"),
        ("hold: 2 ever", "hold: 2", "such as 1 ever or 5 per 7d (or s, m, h)"),
        ("blocked: []", "blocked: {kind: phone}", "blocked must be a list"),
        ("rivals: 2", "rival: 2", "bridge.rival is not known here: did you mean rivals?"),
        ("  cookie:\n    values", "  cooky:\n    values", "kinds.cooky must be 'uid', "),
    ],
)
def test_a_fault_is_named_with_its_line_and_its_mend(old: str, new: str, sentence: str) -> None:
    text = GOOD.replace(old, new)
    found = lint_policy(text)
    assert isinstance(found, list)
    (fault,) = found
    assert sentence in fault.sentence
    wanted = new.strip().partition("\n")[0] or "priority:"
    assert wanted in text.splitlines()[fault.line - 1]


def test_a_weak_kind_before_a_strong_one_is_named_with_the_line_of_the_list() -> None:
    text = GOOD.replace("  uid:\n    values: exclusive", "  uid:\n    values: weak")
    line = GOOD.splitlines().index("priority:") + 1
    assert lint_policy(text) == [Fault(line, "priority: uid is weak, so it must stand after unionid in priority")]


def _faults(*lines: str) -> list[Fault]:
    found = lint_policy("\n".join(["policy: acme", "version: 1", *lines]))
    assert isinstance(found, list)
    return found


def test_a_kind_that_does_not_fit_the_usual_priority_is_named_where_the_policy_says_so() -> None:
    (weak,) = _faults("kinds:", "  phone: {values: weak}")
    assert weak == (4, "kinds.phone.values: phone is weak, so it must stand after email in priority")
    (strong,) = _faults("kinds:", "  cookie: {values: exclusive}")
    assert strong == (4, "kinds.cookie.values: device_id is weak, so it must stand after cookie in priority")


def test_a_shop_that_stands_there_twice_is_named_at_its_second_place() -> None:
    shops = [f"  - {{scope: tmall, algorithm: {algorithm}}}" for algorithm in ("md5", "sha1")]
    assert _faults("hashed_phones:", *shops) == [(5, "hashed_phones.1.scope: tmall stands there twice")]


def test_an_entry_that_blocks_nothing_is_a_fault_though_the_engine_takes_it() -> None:
    told = "blocks nothing: give it values or a pattern"
    entries = ["  - {kind: member_card}", "  - {kind: email, values: []}", "  - {pattern: x}"]
    assert _faults("blocked:", *entries) == [(4, f"blocked.0 {told}"), (5, f"blocked.1 {told}")]


@pytest.mark.parametrize(
    ("phone", "sentence"),
    [
        ("13912340000", "blocks nothing: phones are compared as +8613912340000, so write that"),
        ("+86139****0000", "blocks nothing: it is no phone number in full, nor the hash of one"),
    ],
)
def test_a_phone_that_is_blocked_in_vain_is_a_fault(phone: str, sentence: str) -> None:
    found = _faults("blocked:", f'  - {{kind: phone, values: ["+8613912340001", "{phone}"]}}')
    assert found == [(4, f"blocked.0.values.1 {sentence}")]


@pytest.mark.parametrize("phone", ["+8613912340000", "'+8613912340000'", "A" * 64])
def test_a_phone_is_blocked_in_full_in_quotes_or_as_a_shop_hashes_it(phone: str) -> None:
    found = lint_policy(f'policy: acme\nversion: 1\nblocked: [{{kind: phone, values: ["{phone}"]}}]')
    assert isinstance(found, MergePolicy)


def test_a_text_that_holds_itself_is_told_of_like_any_other() -> None:
    (fault,) = _faults("more: &more [*more]")
    assert fault.line == 3
    assert "more is not known here" in fault.sentence


def test_an_id_is_written_with_its_kind_and_its_issuer() -> None:
    assert identity_of("openid@wx1:o-1") == {"kind": "openid", "scope": "wx1", "value": "o-1"}
    assert identity_of("phone:139 1234 0001") == {"kind": "phone", "scope": None, "value": "+8613912340001"}


@pytest.mark.parametrize("text", ["U1", "wechat:U1", "openid:o-1", "phone:12"])
def test_an_id_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(Misuse):
        identity_of(text)
