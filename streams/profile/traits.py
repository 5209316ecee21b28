"""What is known of persons by name, such as their zone or birthday: the newest value of any of their ids counts.

In: values with their times. Out: the value of a set of nodes. Never: what a value means.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from streams.journal.tables import Tables


class Told(NamedTuple):
    """A value, when it was told, and of which node."""

    time_ms: int
    value: str
    node: str


class Traits:
    """Table `traits`: node␟name → (time, value). At the same time the greater value counts."""

    def __init__(self, tables: Tables) -> None:
        self._rows = tables.table("traits")

    def tell(self, node: str, name: str, time_ms: int, value: str) -> None:
        """Notes a value of this node."""
        key = f"{node}\x1f{name}"
        if self._rows.get(key, (-1, "")) < (time_ms, value):
            self._rows.put(key, (time_ms, value))

    def of(self, nodes: Iterable[str], name: str) -> Told | None:
        """The newest value of these nodes; None where there is none."""
        rows = ((self._rows.get(f"{node}\x1f{name}"), node) for node in nodes)
        return max((Told(row[0], row[1], node) for row, node in rows if row is not None), default=None)

    def nodes(self, name: str) -> list[str]:
        """All nodes of which this is known."""
        return sorted(key.rpartition("\x1f")[0] for key in self._rows if key.endswith(f"\x1f{name}"))
