"""By which policy each sighting was decided last: its own, or that of the moment when it was decided again.

In: the journal of an oracle. Out: policies by position; what is left of a sighting. Never: code of `streams`.

A policy is in force for what comes after it. What it blocks is as if it had never been seen, and whoever was tied to
that is decided again by this policy; so is whoever was tied to a pair that an operator cuts, or links after a cut.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING

from tests.support.lines import Commanded, Event, Line, MergePolicyText, Ruled
from tests.support.people import Node, is_blocked

if TYPE_CHECKING:
    from tests.support.oracle import Oracle


class Rulings:
    """Of the journal of this oracle."""

    def __init__(self, oracle: Oracle) -> None:
        self._oracle = oracle

    def upto(self, at: int) -> dict[int, MergePolicyText]:
        """The policies of those sightings that were decided again up to a position, by the sighting's position."""
        oracle, found = self._oracle, dict[int, MergePolicyText]()
        for position, line in enumerate(oracle.lines[: at + 1] if self._is_any else ()):
            about = self._undone(position, line)
            tied = oracle.people(position - 1).tied(about) if about else set[Node]()
            for before in range(position if tied else 0):
                if not tied.isdisjoint(self._shown(before, position - 1)):
                    found[before] = oracle.policy(position, getattr(line, "tenant", "*"))
        return found

    @cached_property
    def _is_any(self) -> bool:
        """Whether more than one policy has sightings."""
        lines = self._oracle.lines
        first = next((at for at, line in enumerate(lines) if isinstance(line, (Event, Commanded))), 0)
        return any(isinstance(line, Ruled) for line in lines[first:])

    def _undone(self, at: int, line: Line) -> list[Node]:
        """What this line takes out, or ties anew."""
        oracle = self._oracle
        gone = oracle.people(at - 1).graph if at in self._turns else ()
        return [node for node in gone if self._blocks(at, node)] + self._tied_anew(at, line)

    def _tied_anew(self, at: int, line: Line) -> list[Node]:
        oracle = self._oracle
        if isinstance(line, Commanded) and line.kind in ("link", "unlink") and oracle.is_taken(at, line):
            pair = oracle.pair(at, line)
            if line.kind == "unlink" or pair in oracle.cut(at - 1):
                return [name for node in pair for name in oracle.names(at, node)]
        return []

    def _shown(self, before: int, at: int) -> list[Node]:
        """The values of a sighting, as they are known at a later position."""
        line, oracle = self._oracle.lines[before], self._oracle
        if not isinstance(line, (Event, Commanded)):
            return []
        told = oracle.told(at, line.tenant)
        return oracle.people(at).usable(line.tenant, line.ids, oracle.policy(before, line.tenant), told)

    def unblocked(self, nodes: Iterable[Node], after: int, at: int) -> list[Node]:
        """These without the values that were blocked later, up to a position, by a policy or for being a phone's."""
        later = [turn for turn in self._turns if after <= turn <= at]
        return [node for node in nodes if not any(self._blocks(turn, node) for turn in later)]

    @cached_property
    def _turns(self) -> list[int]:
        """Where a policy comes, or a phone is shown of which hashes may have been seen."""
        oracle, lines = self._oracle, list(enumerate(self._oracle.lines))
        shown = [(at, line.tenant) for at, line in lines if isinstance(line, (Event, Commanded))]
        news = [at for at, tenant in shown if oracle.told(at, tenant) != oracle.told(at - 1, tenant)]
        return sorted([*news, *(at for at, line in lines if isinstance(line, Ruled))])

    def _blocks(self, at: int, node: Node) -> bool:
        """Whether from this position on the value is nobody."""
        policy = self._oracle.policy(at, node[0])
        phone = self._oracle.told(at, node[0]).get(node[:4], node)
        return is_blocked(node, policy) or is_blocked(phone, policy)
