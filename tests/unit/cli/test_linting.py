"""What `siyu rules lint` says: the right line, and how to mend it."""

from pathlib import Path

import pytest

from streams.cli.linting import Fault, lint, lint_delivery
from streams.rules.book import Compiled

RULES = Path(__file__).parents[3] / "deploy" / "rules"
GOOD = (RULES / "unpaid-order-coupon.yaml").read_text(encoding="utf-8")


def faults(text: str) -> list[Fault]:
    found = lint(text)
    assert isinstance(found, list), "it should have faults"
    return found


def only(text: str) -> Fault:
    (fault,) = faults(text)
    return fault


def changed(old: str, new: str) -> str:
    assert GOOD.count(old) == 1
    return GOOD.replace(old, new)


def line_with(text: str, part: str) -> int:
    return next(number for number, line in enumerate(text.splitlines(), 1) if part in line)


@pytest.mark.parametrize("path", sorted(RULES.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_rule_that_we_ship_is_good(path: Path) -> None:
    assert isinstance(lint(path.read_text(encoding="utf-8")), Compiled)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("within: 1h", "withn: 1h", "when.absence.withn is not known here: did you mean within?"),
        ("within: 1h", "within: 1 hour", "such as 90s or 1h"),
        ("after: order_submitted", "after: Order", "when.absence.after must match"),
        ("same: order_id", "same: one_id", "when.absence.same must be 'order_id'"),
        ("to: openid", "to: wechat", "send.channels.0.to must be 'uid'"),
        ('coupon_fen: "1000"', "coupon_fen: 1000", "send.content.coupon_fen must be text: put it in quotes"),
        ("version: 1", "version: 0", "version is not right: input should be greater than or equal to 1"),
        ("of: [order_paid, order_cancelled]", "of: []", "when.absence.of is not right"),
    ],
)
def test_a_fault_is_named_with_its_line_and_its_mend(old: str, new: str, sentence: str) -> None:
    text = changed(old, new)
    found = faults(text)
    assert [fault.line for fault in found if sentence in fault.sentence] == [line_with(text, new)]


def test_a_patience_that_outlasts_the_expiry_is_a_fault_but_not_in_a_journey() -> None:
    text = changed("    same: order_id\n", "    same: order_id\n    patience: 25h\n")
    sentence = "when.absence.patience: it is longer than send.expires_after, so what it sends has expired"
    assert only(text) == Fault(line_with(text, "patience"), sentence)
    assert isinstance(lint(f"{text}\njourney: {{ steps: [{{ step: rest, wait: 1d }}] }}\n"), Compiled)


@pytest.mark.parametrize(
    ("field", "sentence"),
    [
        ("choose: dearest", "send.choose must be 'first', 'cheapest' or 'best'"),
        ("best_hour_within: 25h", "send.best_hour_within is not right: each hour comes once a day: at most 24h"),
        ("best_hour_within: 7h", "send.best_hour_within: it is longer than expires_after, so it would have expired"),
    ],
)
def test_a_best_hour_that_could_not_be_is_a_fault(field: str, sentence: str) -> None:
    text = changed("  expires_after: 24h\n", f"  expires_after: 6h\n  {field}\n")
    assert only(text) == Fault(line_with(text, field), sentence)


def test_a_missing_field_is_named_with_the_line_of_what_it_belongs_to() -> None:
    text = changed("    within: 1h\n", "")
    assert only(text) == Fault(line_with(text, "absence:"), "when.absence.within is missing")


def test_a_condition_that_does_not_parse_is_named_with_its_line() -> None:
    text = changed("where: event.amount_fen >= 5000", "where: event.amount_fen >= >= 5000")
    assert only(text).line == line_with(text, "where:")


def test_a_condition_over_something_unknown_is_named_with_its_line() -> None:
    text = changed("where: event.amount_fen", "where: order.amount_fen")
    assert only(text) == Fault(
        line_with(text, "where:"),
        "when.absence.where: order is not known; a condition is over event, as in event.amount_fen",
    )


def test_an_event_type_that_starts_and_ends_the_wait_is_named_with_its_line() -> None:
    text = changed("of: [order_paid,", "of: [order_submitted,")
    assert only(text).line == line_with(text, "of: [")


def test_a_key_that_stands_twice_is_a_fault_though_yaml_takes_it() -> None:
    text = changed("priority: 100", "priority: 100\npriority: 5")
    assert only(text) == Fault(line_with(text, "priority: 5"), "priority stands there twice")


def test_all_faults_are_told_at_once_in_the_order_of_their_lines() -> None:
    found = faults(changed("within: 1h", "within: soon").replace("version: 1", "version: one"))
    assert [fault.sentence.split()[0] for fault in found] == ["version", "when.absence.within"]


@pytest.mark.parametrize(
    ("text", "line", "sentence"),
    [
        ("rule: [", 1, "not YAML"),
        ("rule: a\n  version: 1\n", 2, "not YAML"),
        ("", 1, "the document must be a mapping"),
        ("- a\n- b\n", 1, "the document must be a mapping"),
        ("rule: a\n---\nrule: b\n", 2, "not YAML"),
        ("rule: !!python/object:os.system a\n", 1, "not YAML"),
    ],
)
def test_a_text_that_is_no_rule_at_all_is_told_so(text: str, line: int, sentence: str) -> None:
    found = faults(text)[0]
    assert found.line == line
    assert sentence in found.sentence


def test_a_delivery_policy_is_linted_as_rules_are() -> None:
    shipped = (RULES.parent / "policies" / "delivery.yaml").read_text(encoding="utf-8")
    assert not isinstance(lint_delivery(shipped), list)
    wrong = shipped.replace("quiet_hours:", "quite_hours:").replace("most: 3", "most: none")
    found = lint_delivery(wrong)
    assert isinstance(found, list)
    told = "quite_hours is not known here: did you mean quiet_hours?"
    assert found[0] == Fault(line_with(wrong, "quite_hours"), told)
    assert (found[1].line, found[1].sentence.split()[0]) == (line_with(wrong, "most: none"), "caps.1.most")
