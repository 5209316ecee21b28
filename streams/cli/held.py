"""`siyu identity held`: what the breaker holds, as ClickHouse has it.

In: a tenant. Out: a line for each suspected value and each held bridge. Never: a phone or an e-mail in full; a change.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from sinks.statements import literal
from streams.cli.arguments import tenant_of
from streams.cli.failure import Failure
from streams.cli.query import answer_of
from streams.cli.tables import print_records
from streams.settings import Settings

_COLUMNS = ("node_a", "kind_a", "scope_a", "value_a", "node_b", "kind_b", "scope_b", "value_b", "reason", "event_id")
_SHOWN = ("node", "id", "with_node", "with_id", "links", "reason", "event_id")


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Prints them; 0 when there is an answer."""
    chosen = (
        f"SELECT {', '.join(_COLUMNS)} FROM siyu.identity_held WHERE tenant = {literal(tenant_of(arguments, settings))}"
    )
    try:
        answer = answer_of(f"{chosen} ORDER BY seq", settings)
    except ValueError as error:
        raise Failure(str(error)) from error
    rows = [dict(zip(_COLUMNS, row, strict=True)) for row in answer.rows]
    print_records(rows if arguments.json else lines(rows), _COLUMNS if arguments.json else _SHOWN, arguments.json)
    return 0


def lines(rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """A suspected value in one line, with how many of its links are held; each other pair in a line of its own."""
    rows = list(rows)
    values = {row["node_a"] for row in rows if not row["node_b"]}
    links = Counter(node for row in rows if row["node_b"] for node in (row["node_a"], row["node_b"]) if node in values)
    for row in rows:
        if not row["node_b"] or values.isdisjoint((row["node_a"], row["node_b"])):
            yield {
                "node": row["node_a"],
                "id": _written(row, "a"),
                "with_node": row["node_b"],
                "with_id": _written(row, "b"),
                "links": 1 if row["node_b"] else links[row["node_a"]],
                "reason": row["reason"],
                "event_id": row["event_id"],
            }


def _written(row: dict[str, Any], side: str) -> str:
    kind, scope, value = (row[f"{part}_{side}"] for part in ("kind", "scope", "value"))
    return f"{kind}@{scope}:{value}" if scope else f"{kind}:{value}" if kind else ""
