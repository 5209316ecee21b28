"""Two ids were seen together: linked, refused, or a visit of one person on another's device.

In: a pair, the stronger id first, with its evidence; a policy. Out: rows and facts (see `people`).
Never: a pair that means something else for having been seen before, or for what else its event held.

A pair is decided when it is first seen. What is refused then would be refused at every later sighting: persons only
grow, and every reason to refuse stays true of a person that grows.
"""

from __future__ import annotations

from typing import NamedTuple

from streams.identity.breaker import REJECTED, Breaker
from streams.identity.cuts import Cuts
from streams.identity.limits import over_limit
from streams.identity.nodes import (
    Evidence,
    base_of,
    contested_of,
    kind_of,
    pair_of,
    visit_of,
)
from streams.identity.people import People
from streams.identity.phones import Phones
from streams.identity.policy import MergePolicy
from streams.identity.refusals import Refusal

CONTESTED = "contested"
UNLINKED = "unlinked"


class Sighting(NamedTuple):
    """How a pair was seen: under which policy, by what; `seq` where it has its number already."""

    policy: MergePolicy
    evidence: Evidence
    seq: int | None = None
    by_command: bool = False


class Meetings:
    """Decides pairs over these people."""

    def __init__(self, people: People, phones: Phones, cuts: Cuts, breaker: Breaker) -> None:
        self._people = people
        self._phones = phones
        self._cuts = cuts
        self._breaker = breaker

    def alone(self, node: str, seen: Sighting) -> None:
        """An id was seen; if it is new it is a person of its own."""
        if node not in self._people.nodes:
            self._people.found(node, seen.evidence.event_time_ms)
            self.meet_hashes(node, seen)

    def meet(self, a: str, b: str, seen: Sighting) -> None:
        """The stronger id `a` was seen together with `b`."""
        if not seen.policy.hashed_phones:
            self._decide(a, b, seen)
            return
        new = [node for node in (a, b) if node not in self._people.nodes]
        self._decide(a, b, seen)
        for node in new:
            self.meet_hashes(node, seen)

    def _decide(self, a: str, b: str, seen: Sighting) -> None:
        weak, people = seen.policy.weak, self._people
        suspected = "" if seen.by_command else self._breaker.why(a, b)
        if suspected:
            self._hold(a, b, suspected, seen)
        elif kind_of(b) in weak and kind_of(a) not in weak and not people.contested(a):
            self._login(a, b, seen)
        elif seen.by_command:
            self._join(people.current.get(a, a), people.current.get(b, b), seen)
        elif not people.linked(a, b) and not self._refused(a, b, seen):
            why = self._objection(a, b, seen)
            bridge = "" if why else self._breaker.bridges(a, b, seen.policy)
            if why or bridge:
                self._refuse(a, b, why or bridge, seen, held=not why)
            else:
                self._join(a, b, seen)

    def _hold(self, a: str, b: str, suspected: str, seen: Sighting) -> None:
        """A pair of a suspected value: it waits for an operator's word, unless there was one about the pair."""
        people, pair = self._people, pair_of(a, b)
        if people.linked(a, b) or (pair not in people.refused and self._breaker.full(a, b)):
            return
        why = self._cut(a, b) or suspected
        self._refuse(a, b, why, seen, held=why not in (UNLINKED, REJECTED))

    def _refused(self, a: str, b: str, seen: Sighting) -> bool:
        """Whether this policy refused it before; a newer one looks again."""
        row = self._people.refused.get(pair_of(a, b))
        return row is not None and row.policy == seen.policy.label

    # What speaks against a link

    def _objection(self, a: str, b: str, seen: Sighting) -> str:
        """Why the two must not be linked; "" if they may."""
        people = self._people
        if pair_of(a, b) in self._cuts:
            return UNLINKED
        if people.together(a, b):
            return ""
        if people.contested(a) or people.contested(b):
            return CONTESTED
        return self._unshared(a, b, seen.policy) or self._over_limit(a, b, seen)

    def _unshared(self, a: str, b: str, policy: MergePolicy) -> str:
        """Only an exclusive value joins two known persons; a weak one that several used joins nothing to another."""
        odd = next((node for node in (b, a) if kind_of(node) not in policy.exclusive), None)
        if odd is None:
            return ""
        both = self._known(a, policy) and self._known(b, policy)
        shared = kind_of(a) in policy.weak and (a in self._people.current or b in self._people.current)
        return policy.kinds[kind_of(odd)].values_line if both or shared else ""

    def _known(self, node: str, policy: MergePolicy) -> bool:
        """Whether the person of this node has an id that is exclusive."""
        return any(kind_of(one) in policy.exclusive for one in self._people.side(node))

    def _over_limit(self, a: str, b: str, seen: Sighting) -> str:
        people = self._people
        sides = people.side(a), people.side(b)
        return over_limit(people.nodes, seen.policy, seen.evidence.event_time_ms, *sides)

    # What follows

    def _refuse(self, a: str, b: str, why: str, seen: Sighting, *, held: bool = False) -> None:
        people, policy = self._people, seen.policy
        contested = not held and why not in (CONTESTED, UNLINKED, REJECTED) and self._is_claim(a, b, policy)
        for node in (a, b):
            if node not in people.nodes:
                people.found(node, seen.evidence.event_time_ms)
        self._breaker.notice(a, b, seen.policy)
        people.refuse(a, b, Refusal(*seen.evidence, seen.seq or 0, why, policy.label, held))
        if contested:
            self._contest(b, seen)

    def _is_claim(self, a: str, b: str, policy: MergePolicy) -> bool:
        """Whether `a`, an id of another kind, claims a value of a person who is known without it."""
        kinds = kind_of(a), kind_of(b)
        if kinds[0] == kinds[1] or not policy.exclusive.issuperset(kinds) or b not in self._people.nodes:
            return False
        return any(kind_of(one) in policy.exclusive for one in self._people.side(b) if one != b)

    def _contest(self, node: str, seen: Sighting) -> None:
        people, apart = self._people, contested_of(node)
        if apart not in people.nodes:
            people.found(apart, seen.evidence.event_time_ms)
        elif people.together(node, apart) and not people.tied(apart):
            people.part(apart, seen.evidence)
        for one in (node, *(one for one in self._phones.hashes(node, seen.policy) if one in people.nodes)):
            people.goes_to(one, apart)

    def _join(self, a: str, b: str, seen: Sighting) -> None:
        people, nodes, at = self._people, self._people.nodes, seen.evidence.event_time_ms
        self._breaker.notice(a, b, seen.policy)
        if a not in nodes:
            people.place(a, nodes[b][0] if b in nodes else people.node_id(a), at)
        if b not in nodes:
            people.place(b, nodes[a][0], at)
        if nodes[a][0] != nodes[b][0]:
            people.merge(a, b, seen.evidence, seen.by_command)
        people.link(a, b, seen.evidence, seen.seq, seen.by_command)
        people.settle(pair_of(base_of(a), base_of(b)), seen.evidence)

    def _login(self, a: str, device: str, seen: Sighting) -> None:
        """A stronger id on a weak value: events under the value alone go to this person from now on."""
        people, policy = self._people, seen.policy
        if people.together(a, device):
            goes_to, why = device, self._cut(a, device)
        elif device in people.current and not self._known(a, policy):
            goes_to, why = device, policy.kinds[kind_of(device)].values_line
        elif device not in people.nodes or not (self._known(device, policy) and self._known(a, policy)):
            goes_to, why = device, self._login_fault(a, device, device, seen)
        else:
            goes_to = visit_of(device, people.node_id(a))
            why = "" if people.together(a, goes_to) else self._login_fault(a, device, goes_to, seen)
        if why:
            self._refuse(a, device, why, seen)
            return
        if seen.by_command or not people.linked(a, goes_to):
            self._join(a, goes_to, seen)
        if goes_to != device or device in people.current:
            people.goes_to(device, goes_to)

    def _cut(self, a: str, b: str) -> str:
        return UNLINKED if pair_of(a, b) in self._cuts else ""

    def _login_fault(self, a: str, device: str, goes_to: str, seen: Sighting) -> str:
        """Why this person can't have the value; "" if it can, as always by an operator's word."""
        if seen.by_command:
            return ""
        return self._cut(a, device) or self._over_limit(a, goes_to, seen)

    def meet_hashes(self, node: str, seen: Sighting) -> None:
        """A plain phone meets what was known by its hash."""
        for hashed in self._phones.hashes(node, seen.policy):
            if hashed in self._people.nodes and not self._people.met(node, hashed):
                self._breaker.inherit(hashed, node)
                self.meet(node, hashed, seen._replace(by_command=False))
