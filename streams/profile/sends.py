"""What each id was sent: sends belong to the node that got them, so that they add up where persons merge.

In: sends and those that failed. Out: the sends of a set of nodes, oldest first. Never: a limit; a person.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from streams.documents import LONGEST_MS
from streams.journal.tables import Tables

_KEEP_MS = LONGEST_MS + 31 * 86_400_000
"""Longer than any cap or cool-down can look back; what is older goes when the node is sent something new."""


class Sent(NamedTuple):
    """One send: when, of which rule, over which channel, under which id, of which match."""

    time_ms: int
    rule: str
    channel: str
    trigger_id: str
    match: str

    @property
    def decided_by(self) -> str:
        """The rule as its match names it: of a journey the step and the version too."""
        return self.match.split("\x1f", 2)[1]


class Sends:
    """Table `sends`: node → its sends."""

    def __init__(self, tables: Tables) -> None:
        self._rows = tables.table("sends")

    def add(self, node: str, sent: Sent) -> None:
        """Notes a send to this node."""
        kept = [one for one in self._rows.get(node, ()) if one[0] > sent.time_ms - _KEEP_MS]
        self._rows.put(node, (*kept, tuple(sent)))

    def take_back(self, node: str, trigger_id: str) -> None:
        """Forgets a send that failed: it was not sent."""
        kept = tuple(one for one in self._rows.get(node, ()) if one[3] != trigger_id)
        if kept:
            self._rows.put(node, kept)
        else:
            self._rows.drop(node)

    def of(self, nodes: Iterable[str]) -> list[Sent]:
        """All sends to these nodes, by time and id."""
        return sorted(Sent(*one) for node in nodes for one in self._rows.get(node, ()))
