"""Who was erased: salted hashes of ids, so that a replay does not bring anybody back, and who returns starts afresh.

In: nodes that are erased, with the time; the nodes of an event. Out: those that may still count; how often a node was
erased, which is a part of its hash from then on. Never: an id.
"""

from __future__ import annotations

from collections.abc import Sequence

from streams.identity.nodes import hash_of
from streams.journal.tables import Tables


class Ledger:
    """Table `erased`: the node's first hash → (times, the last time in ms)."""

    def __init__(self, tables: Tables, salt: bytes) -> None:
        self._rows = tables.table("erased")
        self._salt = salt
        self.newest_ms = max((time_ms for _, time_ms in self._rows.values()), default=-1)
        """What happened later is not of anybody who was erased before."""

    def add(self, node: str, time_ms: int) -> None:
        """The node is erased: what happened up to this time is of nobody."""
        self._put(node, self.times(node) + 1, time_ms)

    def pass_over(self, node: str, time_ms: int) -> None:
        """The node is of another, and is not erased: but what happened up to this time does not count under it."""
        self._put(node, self.times(node), time_ms)

    def _put(self, node: str, times: int, time_ms: int) -> None:
        _, before_ms = self._rows.get(hash_of(node, self._salt), (0, -1))
        self._rows.put(hash_of(node, self._salt), (times, max(time_ms, before_ms)))
        self.newest_ms = max(self.newest_ms, time_ms)

    def times(self, node: str) -> int:
        """How often it was erased."""
        if not self._rows:
            return 0
        times: int = self._rows.get(hash_of(node, self._salt), (0, -1))[0]
        return times

    def struck(self, nodes: Sequence[str], time_ms: int) -> frozenset[str]:
        """Those of an event's nodes that were erased when, or after, it happened."""
        return frozenset(node for node in nodes if self._rows.get(hash_of(node, self._salt), (0, -1))[1] >= time_ms)
