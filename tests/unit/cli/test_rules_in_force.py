"""What `siyu rules apply --wait` says where another version stays in force."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.cli.failure import Failure
from streams.cli.rules import assert_in_force
from streams.journal.tables import Tables
from streams.rules.book import EVERY_TENANT, USUAL, Book, compile_rule

TEXT = Path("deploy/rules/unpaid-order-coupon.yaml").read_text(encoding="utf-8")


def _version(number: int) -> str:
    return TEXT.replace("version: 1\n", f"version: {number}\n")


def _in_force(*applied: tuple[str, int]) -> Book:
    book = Book(Tables(), USUAL)
    for tenant, version in applied:
        book.apply(tenant, _version(version))
    return book


def _assert(version: int, book: Book, tenant: str) -> None:
    assert_in_force([compile_rule(_version(version), USUAL).rule], book, tenant)


def test_an_older_version_is_told_to_have_been_refused() -> None:
    with pytest.raises(Failure, match="rule unpaid-order-coupon version 3 stays in force for t1: 2 is older"):
        _assert(2, _in_force(("t1", 3)), "t1")


def test_a_tenants_own_version_may_be_older_than_everyones() -> None:
    _assert(2, _in_force((EVERY_TENANT, 3), ("t1", 2)), "t1")
