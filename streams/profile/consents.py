"""What persons said of being written to, by channel: the newest word of any of their ids counts.

In: consents and withdrawals with their times. Out: the word of a set of nodes. Never: what holds where there is none.
"""

from __future__ import annotations

from collections.abc import Iterable

from streams.journal.tables import Tables


class Consents:
    """Table `consents`: node␟channel → (time, given). At the same time a withdrawal goes before a consent."""

    def __init__(self, tables: Tables) -> None:
        self._rows = tables.table("consents")

    def say(self, node: str, channel: str, time_ms: int, given: bool) -> None:
        """Notes a word of this node."""
        key = f"{node}\x1f{channel}"
        said = (time_ms, given)
        before = self._rows.get(key)
        if before is None or _weight(before) < _weight(said):
            self._rows.put(key, said)

    def of(self, nodes: Iterable[str], channel: str) -> bool | None:
        """The word of these nodes on this channel; None where they said nothing."""
        said = (self._rows.get(f"{node}\x1f{channel}") for node in nodes)
        newest = max((one for one in said if one is not None), key=_weight, default=None)
        return None if newest is None else bool(newest[1])


def _weight(said: tuple[int, bool]) -> tuple[int, bool]:
    return said[0], not said[1]
