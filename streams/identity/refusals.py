"""Pairs that were seen together and are not linked.

In: pairs with why. Out: the row of a pair; the pairs of a node. Never: a decision, a fact.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import NamedTuple

from streams.identity.nodes import BETWEEN
from streams.journal.tables import Tables


class Refusal(NamedTuple):
    """Why a pair is not linked, by which policy, and its evidence; `seq` 0: it has no number yet.

    `held`: an operator may yet release it.
    """

    event_id: str
    event_time_ms: int
    seq: int
    reason: str
    policy: str
    held: bool = False


class Refusals:
    """Table `refused`: pair → Refusal."""

    def __init__(self, tables: Tables) -> None:
        self._rows = tables.table("refused")
        self._of: dict[str, set[str]] = {}
        for pair in self._rows:
            self._index(pair)

    def _index(self, pair: str) -> None:
        for end in pair.split(BETWEEN):
            self._of.setdefault(end, set()).add(pair)

    def __contains__(self, pair: str) -> bool:
        return pair in self._rows

    def __getitem__(self, pair: str) -> Refusal:
        return Refusal(*self._rows[pair])

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def get(self, pair: str) -> Refusal | None:
        """Why the pair is refused; None where it is not."""
        row = self._rows.get(pair)
        return None if row is None else Refusal(*row)

    def of(self, node: str) -> Collection[str]:
        """The refused pairs of this node."""
        return self._of.get(node, ())

    def put(self, pair: str, why: Refusal) -> None:
        """The pair is refused."""
        self._rows.put(pair, why)
        self._index(pair)

    def drop_of(self, node: str) -> None:
        """No pair of this node is refused any more."""
        for pair in self._of.pop(node, ()):
            self._rows.drop(pair)
            for end in pair.split(BETWEEN):
                self._of.get(end, set()).discard(pair)
