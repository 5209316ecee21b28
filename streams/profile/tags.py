"""What persons are tagged with: a tag of any of their ids is a tag of the person.

In: tags with their times. Out: the tags of a set of nodes. Never: what a tag means.
"""

from __future__ import annotations

from collections.abc import Iterable

from streams.journal.tables import Tables


class Tags:
    """Table `tags`: node → (tag, since when), by tag."""

    def __init__(self, tables: Tables) -> None:
        self._rows = tables.table("tags")

    def put(self, node: str, tag: str, time_ms: int) -> None:
        """Tags a node; the first time counts."""
        kept = dict(self._rows.get(node, ()))
        if tag not in kept:
            self._rows.put(node, tuple(sorted((kept | {tag: time_ms}).items())))

    def of(self, nodes: Iterable[str]) -> list[str]:
        """The tags of these nodes, each once."""
        return sorted({tag for node in nodes for tag, _ in self._rows.get(node, ())})
