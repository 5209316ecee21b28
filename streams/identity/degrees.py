"""With how many others a value was seen, and whether that is more than a policy allows.

In: people and their pairs; a policy's limits. Out: the line that a value exceeds. Never: a change.

A phone and its hashes are one value here: whoever stood with one of them stood with the phone.
"""

from __future__ import annotations

from streams.identity.nodes import BETWEEN, base_of, kind_of, pair_of, prefix_of
from streams.identity.people import People
from streams.identity.phones import Phones
from streams.identity.policy import MergePolicy
from streams.journal.tables import Tables

First = tuple[int, int]
"""When two values were first seen together: seq and event time."""


class Degrees:
    """Of those whom tables `suspects` and `cuts` leave out nothing counts; what is in `released` exceeds nothing."""

    def __init__(self, people: People, phones: Phones, tables: Tables) -> None:
        self._people = people
        self._phones = phones
        self._suspects = tables.table("suspects")
        self._released = tables.table("released")
        self._cuts = tables.table("cuts")

    def exceeded(self, node: str, policy: MergePolicy) -> str:
        """The line of the limit that those with whom this value was seen exceed; "" if none."""
        kind, forms = policy.kinds[kind_of(node)], self._phones.forms(node, policy)
        if not self._may_exceed(node, kind.suspicious_from, policy):
            return ""
        if any(form in self._suspects or form in self._released for form in (node, *forms)):
            return ""
        times = self._times(forms)
        for prefix in sorted(times):
            limits = kind.seen_on if kind_of(prefix) in policy.weak else kind.seen_with
            for limit, line in limits:
                if limit.exceeded(times[prefix]):
                    return line
        return ""

    def _may_exceed(self, node: str, at_least: int, policy: MergePolicy) -> bool:
        """Whether there may be so many with whom it was seen: a cheap bound, so that few are counted."""
        people, most = self._people, 0
        for form in self._phones.forms(node, policy):
            most += len(people.refused.of(form)) + len(people.links.get(form, ()))
            for each in (form, *people.visits(form)):
                most += len(people.side(each))
        return most >= at_least

    def _times(self, forms: list[str]) -> dict[str, list[int]]:
        """By kind and issuer, when each other value was first seen with one of these forms of one value."""
        found: dict[str, First] = {}
        for form in forms:
            for partner, first in self._partners(form).items():
                if partner not in self._suspects and pair_of(form, partner) not in self._cuts:
                    _earliest(found, partner, first)
        times: dict[str, list[int]] = {}
        for partner, (_, at) in found.items():
            if partner not in forms:
                times.setdefault(prefix_of(partner), []).append(at)
        return times

    def _partners(self, node: str) -> dict[str, First]:
        """Every value that stood with this one."""
        people, found = self._people, dict[str, First]()
        for pair in people.refused.of(node):
            _, at, seq, *_ = people.refused[pair]
            a, b = pair.split(BETWEEN)
            _earliest(found, b if a == node else a, (seq, at))
        for each in (node, *people.visits(node)):
            for member in people.side(each):
                for to, _, at, seq, _ in people.links.get(member, ()):
                    if member == each:
                        _earliest(found, base_of(to), (seq, at))
                    elif to == each:
                        _earliest(found, base_of(member), (seq, at))
        return found

    def first_seen(self, a: str, b: str) -> int | None:
        """The seq of the first sighting of a pair; None where it was not seen."""
        known = self._partners(a).get(b)
        return None if known is None else known[0]


def _earliest(found: dict[str, First], node: str, seen: First) -> None:
    found[node] = min(seen, found.get(node, seen))
