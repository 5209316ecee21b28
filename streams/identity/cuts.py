"""Which pairs of values an operator keeps apart.

In: pairs by all names of their values (a phone has the plain one and its hashes). Out: whether a pair is cut.
Never: a decision about a pair.

All names of one pair are cut, and lifted, together: each row names its group.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from itertools import permutations

from streams.identity.nodes import BETWEEN, Evidence, pair_of
from streams.journal.tables import Tables


class Cuts:
    """Table `cuts`: pair → evidence and the group, which is named by its first pair."""

    def __init__(self, tables: Tables) -> None:
        self._rows = tables.table("cuts")
        self._of: dict[str, set[str]] = {}
        for pair, (event_id, time_ms, *group) in list(self._rows.items()):
            self._rows[pair] = (event_id, time_ms, *(group or (pair,)))  # rows of before groups were one each
            self._index(pair)

    def __contains__(self, pair: str) -> bool:
        return pair in self._rows

    def put(self, pairs: Sequence[str], evidence: Evidence) -> None:
        """These pairs, which are one by all its names, are cut."""
        known = next((self._rows[pair] for pair in pairs if pair in self._rows), (*evidence, pairs[0]))
        for pair in pairs:
            self._put(pair, known)

    def lift(self, pairs: Iterable[str]) -> bool:
        """Takes the cut of this pair back by all its names; whether there was one."""
        groups = {self._rows[pair][2] for pair in pairs if pair in self._rows}
        self._drop([pair for pair, row in self._rows.items() if row[2] in groups])
        return bool(groups)

    def share(self, names: Collection[str]) -> list[str]:
        """These names are of one value: what one is kept apart from, all are. Those from which one was not, before."""
        told = []
        for name, other_name in permutations(names, 2):
            for pair in sorted(self._of.get(name, ())):
                other = next(end for end in pair.split(BETWEEN) if end != name)
                also = pair_of(other_name, other)
                if other not in names and also not in self._rows:
                    self._put(also, self._rows[pair])
                    told.append(other)
        return told

    def ends(self) -> list[str]:
        """All ids that are kept apart from one, in alphabetical order."""
        return sorted(end for end, pairs in self._of.items() if pairs)

    def strike(self, nodes: Collection[str]) -> None:
        """These were erased: no row names them, not as the name of a group either."""
        gone = {pair for node in nodes for pair in self._of.get(node, ())}
        groups = {self._rows[pair][2] for pair in gone} & gone
        self._drop(gone)
        for group in groups:
            left = sorted(pair for pair, row in self._rows.items() if row[2] == group)
            for pair in left:
                self._rows.put(pair, (*self._rows[pair][:2], left[0]))

    def _put(self, pair: str, row: tuple[str, int, str]) -> None:
        self._rows.put(pair, row)
        self._index(pair)

    def _index(self, pair: str) -> None:
        for end in pair.split(BETWEEN):
            self._of.setdefault(end, set()).add(pair)

    def _drop(self, pairs: Iterable[str]) -> None:
        for pair in pairs:
            self._rows.drop(pair)
            for end in pair.split(BETWEEN):
                self._of.get(end, set()).discard(pair)
