"""A table beside the dict that it must be like."""

from __future__ import annotations

from typing import Any

from streams.journal.tables import Change, Tables

Plain = dict[tuple[str, str], Any]
"""Rows by table and key."""


def changed(tables: Tables, plain: Plain, change: Change) -> None:
    """Makes this change in both, which show the same before."""
    name, key, value = change
    table = tables.table(name)
    assert (key in table, table.get(key)) == ((name, key) in plain, plain.get((name, key)))
    if value is None:
        table.drop(key)
        plain.pop((name, key), None)
    else:
        table.put(key, value)
        plain[name, key] = value
