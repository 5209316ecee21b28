"""Which rules are in force for whom."""

from __future__ import annotations

import pytest

from streams.journal.tables import Tables
from streams.rules.book import Book
from streams.rules.spec import InvalidRule
from tests.support.journals import rule_text
from tests.support.lines import RuleText
from tests.support.stories import COUPON, QUICK


def versions(book: Book, tenant: str, event: str = "order_submitted") -> list[tuple[str, int]]:
    return [(each.rule.rule, each.rule.version) for each in book.listening(tenant, event)]


def changed(rule: RuleText, **changes: object) -> str:
    return rule_text(RuleText(**{**rule.__dict__, **changes}))


def test_a_rule_for_all_is_in_force_for_every_tenant_that_has_none_of_that_name() -> None:
    book = Book(Tables())
    book.apply("*", rule_text(COUPON))
    book.apply("t1", changed(COUPON, version=2))
    assert versions(book, "t1") == [("coupon", 2)]
    assert versions(book, "t2") == [("coupon", 1)]


def test_a_tenants_rule_stays_in_force_when_the_rule_for_all_is_replaced() -> None:
    book = Book(Tables())
    book.apply("t1", rule_text(COUPON))
    book.apply("*", changed(COUPON, version=9))
    assert versions(book, "t1") == [("coupon", 1)]


def test_a_new_version_is_heard_though_the_type_was_asked_for_before() -> None:
    book = Book(Tables())
    book.apply("*", rule_text(COUPON))
    assert versions(book, "t1") == [("coupon", 1)]
    book.apply("*", changed(COUPON, version=2, of=("order_paid",)))
    assert versions(book, "t1") == [("coupon", 2)]
    assert versions(book, "t1", "order_cancelled") == []


def test_rules_that_hear_one_type_come_by_name() -> None:
    book = Book(Tables())
    book.apply("*", rule_text(QUICK))
    book.apply("*", rule_text(COUPON))
    assert versions(book, "t1", "order_paid") == [("coupon", 1), ("quick", 1)]
    assert versions(book, "t1", "page_view") == []


def test_a_rule_that_does_not_lint_changes_nothing() -> None:
    book = Book(Tables())
    book.apply("*", rule_text(COUPON))
    with pytest.raises(InvalidRule):
        book.apply("*", changed(COUPON, version=0))
    assert versions(book, "t1") == [("coupon", 1)]


def test_the_group_of_a_rule_is_its_sources_once_each_in_order() -> None:
    book = Book(Tables())
    group = book.apply("*", changed(QUICK, waits_for=("pos", "order", "pos"))).group
    assert group == "events.raw.order,events.raw.pos"
    assert book.groups() == {group}


def test_a_restored_book_has_the_same_rules() -> None:
    tables = Tables()
    book = Book(tables)
    book.apply("*", rule_text(COUPON))
    book.apply("t1", rule_text(QUICK))
    restored = Book(Tables(tables.rows()))
    assert versions(restored, "t1") == versions(book, "t1")
    assert restored.groups() == book.groups()


def test_an_older_version_than_the_one_in_force_is_refused_and_the_same_one_taken() -> None:
    book = Book(Tables())
    book.apply("*", changed(COUPON, version=3))
    with pytest.raises(InvalidRule, match="version: 3 is in force, 2 is older"):
        book.apply("*", changed(COUPON, version=2))
    book.apply("*", changed(COUPON, version=3, of=("order_paid",)))
    assert versions(book, "t1") == [("coupon", 3)]
    assert versions(book, "t1", "order_cancelled") == []
    book.apply("t1", changed(COUPON, version=1))
    assert versions(book, "t1") == [("coupon", 1)]
