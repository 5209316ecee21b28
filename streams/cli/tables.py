"""Prints rows: a table for people, a JSON object a line for programs.

In: columns and rows. Out: standard output. Never: an escape sequence that came with the data.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

_UNBOUND = 100_000


def print_records(records: Iterable[Mapping[str, Any]], columns: Sequence[str], as_json: bool) -> None:
    """Prints records that have these columns."""
    if as_json:
        for record in records:
            print_json(record)
    else:
        _print_table(columns, ([record[column] for column in columns] for record in records))


def print_json(record: Mapping[str, Any]) -> None:
    """One line of JSON, Chinese as it is."""
    sys.stdout.write(json.dumps(record, ensure_ascii=False, default=str) + "\n")


def _print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in columns:
        table.add_column(Text(shown(column)), overflow="fold")
    for row in rows:
        table.add_row(*(Text(shown(value)) for value in row))
    console = Console(file=sys.stdout, highlight=False)
    if not console.is_terminal:
        console = Console(file=sys.stdout, highlight=False, width=_UNBOUND)
    console.print(table)


def shown(value: Any) -> str:
    """A value as one line of a terminal: nothing for None, control characters as escapes."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else _text(value)
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else str(value)
