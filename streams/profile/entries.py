"""Which rules each id has matched, sent or not: what re-entry asks for.

In: matches, numbered in the order in which they were first decided. Out: those of a set of nodes. Never: a verdict.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from streams.documents import LONGEST_MS
from streams.journal.tables import Tables


class Entry(NamedTuple):
    """A match: its number, and when it was due."""

    number: int
    due_ms: int


class Entries:
    """Table `entries`: node␟rule → its matches. The first is kept for good, the others while a rule can ask."""

    def __init__(self, tables: Tables) -> None:
        self._rows = tables.table("entries")
        self._meta = tables.table("meta")

    def add(self, node: str, rule: str, due_ms: int) -> int:
        """Notes a match of this node; its number."""
        number: int = self._meta.get("entries", 0) + 1
        self._meta.put("entries", number)
        key = f"{node}\x1f{rule}"
        rows = self._rows.get(key, ())
        kept = (*rows[:1], *(one for one in rows[1:] if one[1] > due_ms - LONGEST_MS))
        self._rows.put(key, (*kept, (number, due_ms)))
        return number

    def before(self, nodes: Iterable[str], rule: str, number: int) -> list[Entry]:
        """The matches of these nodes that were decided before this number."""
        rows = (one for node in nodes for one in self._rows.get(f"{node}\x1f{rule}", ()))
        return [Entry(*one) for one in rows if one[0] < number]
