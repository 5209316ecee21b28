"""The circuit breaker: values that too many others were seen with, and links that would join too much.

In: people and their pairs; a policy's limits; operators' words. Out: why a pair is held.
Never: a change of who is who (see `quarantine`).

A suspected value is as if it were blocked: an event goes on without it, and each of its pairs is held. So what its
events say of their other ids must be known also of events from before: `beside` keeps it, for events of three ids and
more, until the strongest of them is suspected.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import combinations
from typing import NamedTuple

from streams.identity.changes import Held
from streams.identity.degrees import Degrees
from streams.identity.nodes import BETWEEN, Evidence, base_of, kind_of, pair_of, prefix_of
from streams.identity.people import People
from streams.identity.phones import Phones
from streams.identity.policy import NEVER, MergePolicy
from streams.journal.tables import Tables

REJECTED = "rejected"
_MOST_HELD = 10_000


class Suspicion(NamedTuple):
    """Since which event, and by which line of the policy; REJECTED where an operator said so."""

    event_id: str
    event_time_ms: int
    seq: int
    reason: str


class Pair(NamedTuple):
    """A first sighting: `b` is the node that was linked, which may be a visit of the value that was seen."""

    seq: int
    a: str
    b: str
    evidence: Evidence
    by_command: bool


class Breaker:
    """Tables `suspects` (node → Suspicion), `released` (node or pair → evidence) and `beside` (ids → evidence, seq)."""

    def __init__(self, people: People, phones: Phones, tables: Tables) -> None:
        self._people = people
        self.degrees = Degrees(people, phones, tables)
        self.suspects = tables.table("suspects")
        self.released = tables.table("released")
        self._beside = tables.table("beside")
        self.fresh: list[str] = []

    # Questions

    def why(self, a: str, b: str) -> str:
        """Why a pair is held for one of its values; "" if it is not."""
        suspects = self.suspects
        if not suspects or pair_of(a, b) in self.released:
            return ""
        row = suspects.get(b) or suspects.get(a)
        return row[3] if row is not None else ""

    def full(self, a: str, b: str) -> bool:
        """Whether of the suspected one of these so many pairs are held that another would tell nothing more."""
        return any(node in self.suspects and len(self._people.refused.of(node)) >= _MOST_HELD for node in (a, b))

    def trusted(self, nodes: Sequence[str]) -> Sequence[str]:
        """Those that are not suspected; all, where every one is."""
        suspects = self.suspects
        if not suspects:
            return nodes
        return [node for node in nodes if node not in suspects] or nodes

    def tied(self, pair: str, about: Collection[str]) -> Iterable[str]:
        """The ends of a refused pair, if what becomes of one can matter to the other. `about`: whom it is about."""
        ends = pair.split(BETWEEN)
        apart = pair not in self.released and any(end in self.suspects and end not in about for end in ends)
        return () if apart else ends

    def bridges(self, a: str, b: str, policy: MergePolicy) -> str:
        """The line by which this one link is too little to make the two persons one; "" if it is enough."""
        people, large, rivals = self._people, policy.large, policy.rivals
        if people.together(a, b) or pair_of(a, b) in self.released:
            return ""
        sides = people.side(a), people.side(b)
        fewest = min(map(len, sides))
        if 0 < large.at_least <= fewest and all(_strong(side, policy) >= large.at_least for side in sides):
            return large.line
        if 0 < rivals.at_least <= fewest and _rivals(*sides, policy) >= rivals.at_least:
            return rivals.line
        return ""

    # Changes

    def note(self, nodes: Sequence[str], evidence: Evidence) -> None:
        """These ids, the strongest first, stood on one event: what the others say of each other may yet count."""
        people = self._people
        if len(nodes) < 3 or (len(nodes) == 3 and people.met(nodes[1], nodes[2])):
            return
        key = BETWEEN.join(nodes)
        if key not in self._beside:
            seqs = [people.next_seq() for _ in combinations(nodes[1:], 2)]
            self._keep(key, evidence, seqs[0])

    def _keep(self, key: str, evidence: Evidence, seq: int) -> None:
        """`seq`: of the first pair of those after the first id; the others follow it."""
        known = self._beside.get(key)
        if known is None or known[2] > seq:
            self._beside.put(key, (*evidence, seq))

    def beside(self, node: str, without: Collection[str] = ()) -> Iterator[Pair]:
        """What events tell of their other ids, now that the strongest of them, `node`, is suspected or is left out."""
        for key in sorted(self._beside.of(node), key=lambda key: self._beside[key][2]):
            event_id, at, seq = self._beside[key]
            yield from self._told(key.split(BETWEEN)[1:], Evidence(event_id, at), seq, without)

    def _told(self, nodes: Sequence[str], evidence: Evidence, seq: int, without: Collection[str]) -> Iterator[Pair]:
        """The first of these with each of the others; and if it does not count either, the same of the next."""
        if len(nodes) < 2:
            return
        (first, *others), known = nodes, self._people.nodes
        gone = first in without or first not in known
        if not gone:
            for number, other in enumerate(others):
                if other not in without and other in known:
                    yield Pair(seq + number, first, other, evidence, False)
            if len(others) > 1:
                self._keep(BETWEEN.join(nodes), evidence, seq + len(others))
        if gone or first in self.suspects:
            yield from self._told(others, evidence, seq + len(others), without)

    def notice(self, a: str, b: str, policy: MergePolicy) -> None:
        """A pair is about to be noted: if it is new, its values are to be looked at (`fresh`), the weaker first.

        Whichever of them may exceed a limit already: what else is on the event may not change who is looked at first.
        """
        a, b, kinds = base_of(a), base_of(b), policy.kinds
        news = [node for node in (b, a) if kinds[kind_of(node)].suspicious_from <= NEVER]
        if news and not self._people.met(a, b):
            self.fresh += news

    def inherit(self, hashed: str, phone: str) -> None:
        """A phone is seen of which the hash was known: what holds of one holds of both."""
        if hashed in self.suspects or phone in self.suspects:
            self.fresh.insert(0, phone)
        elif hashed in self.released:
            self.released.put(phone, self.released[hashed])
        for pair in [name for name in self.released if BETWEEN in name and hashed in name.split(BETWEEN)]:
            a, b = (phone if end == hashed else end for end in pair.split(BETWEEN))
            self.released.put(pair_of(a, b), self.released[pair])

    def suspect(self, node: str, evidence: Evidence, reason: str) -> None:
        """From now on its pairs are held."""
        self.suspects.put(node, Suspicion(*evidence, self._people.next_seq(), reason))
        self.released.drop(node)

    def release(self, name: str, evidence: Evidence) -> None:
        """From now on this value, or this pair, is not held any more, whatever the policy says."""
        self.suspects.drop(name)
        self.released.put(name, tuple(evidence))

    def forget(self, node: str) -> None:
        """The value is gone."""
        self.suspects.drop(node)
        self.released.drop(node)
        for key in self._beside.of(node):
            self._beside.drop(key)

    def pass_over(self, blocked: Callable[[str], bool]) -> None:
        """What events said of values that are blocked now counts no more, not if these are blocked no longer either."""
        for key in [key for key in self._beside if any(map(blocked, key.split(BETWEEN)))]:
            self._shorten(key, blocked)

    def _shorten(self, key: str, gone: Callable[[str], bool]) -> None:
        """What an event said of its other values stays, where these are enough to say anything."""
        event_id, at, seq = self._beside[key]
        self._beside.drop(key)
        left = [one for one in key.split(BETWEEN) if not gone(one)]
        if len(left) > 2:
            self._keep(BETWEEN.join(left), Evidence(event_id, at), seq)

    def tell(self, node: str) -> None:
        """The value is suspected, if it is, under the hash that it has now."""
        row = self.suspects.get(node)
        if row is not None and row[3] != REJECTED:
            (one_id, node_id, *_), evidence = self._people.nodes[node], Evidence(*row[:2])
            self._people.facts.append(Held(node, None, node_id, "", one_id, row[3], evidence, self._people.next_seq()))

    def strike(self, nodes: Collection[str]) -> None:
        """These were erased: nothing names them any more."""
        named = sorted(self._beside.among(nodes))
        theirs = {key for key in named if self.trusted(key.split(BETWEEN))[0] in nodes}
        for node in nodes:
            self.forget(node)
        for name in [name for name in self.released if not set(nodes).isdisjoint(name.split(BETWEEN))]:
            self.released.drop(name)
        for key in [key for key in named if key in self._beside]:
            if key in theirs:
                self._beside.drop(key)
            else:
                self._shorten(key, nodes.__contains__)


def _strong(side: Iterable[str], policy: MergePolicy) -> int:
    return len({base_of(node) for node in side if kind_of(node) not in policy.weak})


def _rivals(ours: Iterable[str], theirs: Iterable[str], policy: MergePolicy) -> int:
    """Of how many exclusive kinds, each within its issuer, both have a value that the other has not."""
    values = [_values(side, policy) for side in (ours, theirs)]
    common = values[0].keys() & values[1].keys()
    return sum(bool(values[0][at] - values[1][at] and values[1][at] - values[0][at]) for at in common)


def _values(side: Iterable[str], policy: MergePolicy) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for node in side:
        if kind_of(node) in policy.exclusive:
            found.setdefault(prefix_of(node), set()).add(base_of(node))
    return found
