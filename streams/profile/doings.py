"""When each id last did something that delivery asks for: what opens a reply window, what ends a match.

In: interactions by name (`type`, or `type@touchpoint`). Out: the last time of a set of nodes. Never: a history.
"""

from __future__ import annotations

from collections.abc import Iterable

from streams.journal.tables import Tables


class Doings:
    """Table `doings`: node␟interaction → its last event time."""

    def __init__(self, tables: Tables) -> None:
        self._rows = tables.table("doings")

    def note(self, node: str, doing: str, time_ms: int) -> None:
        """Notes that the node did this then."""
        key = f"{node}\x1f{doing}"
        if self._rows.get(key, -1) < time_ms:
            self._rows.put(key, time_ms)

    def last(self, nodes: Iterable[str], doing: str) -> int | None:
        """When one of these nodes last did this; None for never."""
        times = (self._rows.get(f"{node}\x1f{doing}") for node in nodes)
        return max((time for time in times if time is not None), default=None)
