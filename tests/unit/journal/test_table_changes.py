"""Tables know what changed since the last commit, and no more."""

from __future__ import annotations

from streams.journal.tables import Change, Tables


def test_a_row_that_changed_twice_is_told_once_with_its_newest_value() -> None:
    tables = Tables()
    table = tables.table("t")
    table.put("k", 1)
    table.put("k", 2)
    assert tables.take_changes() == [Change("t", "k", 2)]
    assert tables.take_changes() == []


def test_a_dropped_row_is_told_as_gone_and_a_missing_one_not_at_all() -> None:
    tables = Tables([Change("t", "k", 1)])
    tables.table("t").drop("k")
    tables.table("t").drop("never")
    assert tables.take_changes() == [Change("t", "k", None)]


def test_rows_come_by_table_and_key_whatever_the_order_in_which_they_were_put() -> None:
    tables = Tables([Change("b", "2", 1), Change("b", "1", 1), Change("a", "9", 1)])
    assert list(tables.rows()) == [Change("a", "9", 1), Change("b", "1", 1), Change("b", "2", 1)]


def test_a_restored_row_is_no_change_and_a_gone_one_is_not_restored() -> None:
    tables = Tables([Change("t", "k", 1), Change("t", "k", None), Change("t", "j", 1)])
    assert list(tables.rows()) == [Change("t", "j", 1)]
    assert tables.take_changes() == []
