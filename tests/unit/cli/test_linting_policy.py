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
    ],
)
def test_a_fault_is_named_with_its_line_and_its_mend(old: str, new: str, sentence: str) -> None:
    text = GOOD.replace(old, new)
    found = lint_policy(text)
    assert isinstance(found, list)
    (fault,) = found
    assert sentence in fault.sentence
    wanted = new.strip() or "priority:"
    assert wanted in text.splitlines()[fault.line - 1]


def test_a_weak_kind_before_a_strong_one_is_named_with_the_line_of_the_list() -> None:
    text = GOOD.replace("  uid:\n    values: exclusive", "  uid:\n    values: weak")
    line = GOOD.splitlines().index("priority:") + 1
    assert lint_policy(text) == [Fault(line, "priority: uid is weak, so it must stand after unionid")]


def test_an_id_is_written_with_its_kind_and_its_issuer() -> None:
    assert identity_of("openid@wx1:o-1") == {"kind": "openid", "scope": "wx1", "value": "o-1"}
    assert identity_of("phone:139 1234 0001") == {"kind": "phone", "scope": None, "value": "+8613912340001"}


@pytest.mark.parametrize("text", ["U1", "wechat:U1", "openid:o-1", "phone:12"])
def test_an_id_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(Misuse):
        identity_of(text)
