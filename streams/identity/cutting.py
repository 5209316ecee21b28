"""Undoing: a pair is cut, or a value leaves, and everyone whom that could have made different is decided again.

In: operators' commands, values that a policy blocks. Out: rows and facts, as if the pair or value had never been.
Never: another decision than that of `meetings`; a touch on persons that nothing ties to those concerned.

Links and refusals of a group are all first sightings of its pairs. The group, persons tied by refusals and visits, is
taken apart into single ids, and its pairs are decided anew in the order in which they were seen.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from itertools import chain, product
from typing import NamedTuple

from streams.identity.breaker import Breaker, Pair
from streams.identity.changes import Freed, Held, IdentityFact, Linked, Moved, Refused, Unlinked
from streams.identity.cuts import Cuts
from streams.identity.meetings import UNLINKED, Meetings, Sighting
from streams.identity.nodes import BETWEEN, Evidence, base_of, is_contested, kind_of, pair_of
from streams.identity.people import People
from streams.identity.phones import Phones, by_strength, is_blocked
from streams.identity.policy import MergePolicy


class _Before(NamedTuple):
    """How a group was: person by node, where shared values went, linked pairs, refused ones with their reason."""

    persons: dict[str, str]
    current: dict[str, str]
    linked: set[str]
    refused: dict[str, str]
    held: set[str]

    def is_news(self, fact: Linked | Refused | Held) -> bool:
        """Whether the pair was not linked before, or not refused for this reason; that of the cut is told apart."""
        pair = pair_of(fact.a, fact.b or "")
        if isinstance(fact, Linked):
            return pair not in self.linked
        if isinstance(fact, Held) and pair not in self.held:
            return True
        return fact.reason not in (UNLINKED, self.refused.get(pair))


class Cutting:
    """Decides again over these people."""

    def __init__(self, people: People, phones: Phones, cuts: Cuts, breaker: Breaker, meetings: Meetings) -> None:
        self._people = people
        self._phones = phones
        self._cuts = cuts
        self._breaker = breaker
        self._meetings = meetings

    def cut(self, a: str, b: str, policy: MergePolicy, evidence: Evidence) -> None:
        """Unlinks a pair for as long as no operator links it; ids that are unknown yet will not be linked either."""
        people = self._people
        names = [self._phones.names(node, policy) for node in (a, b)]
        before = {node: people.nodes[node][0] for node in self._phones.forms(a, policy)}
        self._cuts.put([pair_of(*pair) for pair in product(*names)], evidence)
        self.decide_again(list(chain(*names)), policy, evidence)
        for one, other in product(before, self._phones.forms(b, policy)):
            into = people.nodes[other][0]
            people.facts.append(Unlinked(one, other, before[one], into, evidence, people.next_seq()))

    def link(self, a: str, b: str, policy: MergePolicy, evidence: Evidence) -> None:
        """Links a pair whatever limits say, and takes back a cut of it: what was seen of the pair counts again."""
        names = [self._phones.names(node, policy) for node in (a, b)]
        if self._cuts.lift(pair_of(*pair) for pair in product(*names)):
            self.decide_again(list(chain(*names)), policy, evidence)
        self._people.settled.clear()
        self._meetings.meet(a, b, Sighting(policy, evidence, by_command=True))

    def name(self, nodes: Iterable[str], policy: MergePolicy, evidence: Evidence) -> bool:
        """The hashes of these phones stand for them from now on, also in what an operator cut; whether that is news.

        The hashes of one that is blocked leave their persons.
        """
        named = self._phones.name_hashes(nodes, policy)
        for phone, apart in named.items():
            if is_blocked(phone, policy):
                for form in self._phones.forms(phone, policy):
                    self.remove(form, policy, evidence)
            elif apart and self._phones.forms(phone, policy):
                self.decide_again((*self._phones.names(phone, policy), *apart), policy, evidence)
        return bool(named)

    def remove(self, node: str, policy: MergePolicy, evidence: Evidence) -> None:
        """Takes a value out, with all that was seen of it."""
        gone = {node, *self._people.visits(node)}
        self.decide_again(gone, policy, evidence, frozenset(gone))
        if node in self._breaker.suspects:
            one_id, node_id, *_ = self._people.nodes[node]
            self._people.facts.append(Freed(node, None, node_id, "", one_id, "", evidence, self._people.next_seq()))
        self._breaker.forget(node)
        for each in sorted(gone):
            self._people.remove(each)

    def decide_again(
        self,
        about: Collection[str],
        policy: MergePolicy,
        evidence: Evidence,
        without: frozenset[str] = frozenset(),
        erased: frozenset[str] = frozenset(),
    ) -> None:
        """Takes everyone whom these could have made different apart, and decides what was seen of them anew.

        Of values that are left out (`without`) nothing was seen; events whose strongest id is `erased` never were.
        """
        people, fresh = self._people, len(self._breaker.fresh)
        whole = self._group(about)
        pairs = [pair for pair in self._pairs(whole, policy, without) if not self.is_of(pair, erased, policy)]
        group = [node for node in whole if node not in erased]
        # Of what has to do with the erased nothing counts as told: they have other hashes from now on.
        told_of = {pair for node in group for pair in people.refused.of(node) if erased.isdisjoint(pair.split(BETWEEN))}
        refused = {pair: people.refused[pair] for pair in told_of}
        before = _Before(
            {node: people.nodes[node][0] for node in group},
            {node: people.current[node] for node in group if node in people.current},
            {pair_of(one.a, one.b) for one in pairs if people.linked(one.a, one.b) and erased.isdisjoint(one[1:3])},
            {pair: row.reason for pair, row in refused.items()},
            {pair for pair, row in refused.items() if row.held},
        )
        told = len(people.facts)
        people.scatter(whole)
        for node in sorted(erased):
            people.erase(node, evidence.event_time_ms)
        for pair in pairs:
            seen = Sighting(policy, pair.evidence, pair.seq, pair.by_command)
            a, b = by_strength((base_of(pair.a), base_of(pair.b)), policy)
            self._meetings.meet(a, b, seen)
        self._go_on(before, policy)
        self._bring_home((node for node in group if node not in without), pairs)
        replayed = people.facts[told:]
        del people.facts[told:]
        del self._breaker.fresh[fresh:]
        self._tell(before, replayed, evidence)

    def is_of(self, pair: Pair, nodes: Collection[str], policy: MergePolicy) -> bool:
        """Whether the event that showed the pair is of one of these: the stronger id's, unless that is passed over."""
        a, b = pair.a, pair.b
        if a in nodes or b not in nodes:
            return a in nodes
        return a in self._breaker.suspects or (self._people.contested(a) and kind_of(b) not in policy.weak)

    def _group(self, about: Collection[str]) -> list[str]:
        """The nodes of all persons whom refusals or visits tie to these."""
        people, persons = self._people, set[str]()
        todo = [node for node in about if node in people.nodes]
        while todo:
            one_id = people.nodes[todo.pop()][0]
            if one_id not in persons:
                persons.add(one_id)
                todo += (
                    node for one in people.members(one_id) for node in self._tied(one, about) if node in people.nodes
                )
        return sorted(node for one_id in persons for node in people.members(one_id))

    def _tied(self, node: str, about: Collection[str]) -> Iterable[str]:
        base = base_of(node)
        yield base
        yield from self._people.visits(base)
        for pair in self._people.refused.of(node):
            yield from self._breaker.tied(pair, about)

    def _pairs(self, group: list[str], policy: MergePolicy, without: frozenset[str]) -> list[Pair]:
        """What was seen of them, in order; an operator's link that was cut counts no more."""
        people, found = self._people, set[Pair]()
        for node in group:
            for to, event_id, at, seq, by_command in people.links.get(node, ()):
                found.add(Pair(seq, to, node, Evidence(event_id, at), by_command))
            found.update(self.refused(pair, policy) for pair in people.refused.of(node))
            if node in without or node in self._breaker.suspects:
                found.update(self._breaker.beside(node, without))
        return [pair for pair in sorted(found) if without.isdisjoint(pair[1:3]) and not self._void(pair)]

    def refused(self, pair: str, policy: MergePolicy) -> Pair:
        """A refused pair as it was seen first."""
        event_id, at, seq, *_ = self._people.refused[pair]
        a, b = by_strength(pair.split(BETWEEN), policy)
        return Pair(seq, a, b, Evidence(event_id, at), False)

    def _void(self, pair: Pair) -> bool:
        return pair.by_command and self._is_cut(pair.a, pair.b)

    def _is_cut(self, a: str, b: str) -> bool:
        return pair_of(base_of(a), base_of(b)) in self._cuts

    def _apart(self, a: str, b: str) -> bool:
        """Whether an operator or the breaker keeps the two values apart."""
        return self._is_cut(a, b) or bool(self._breaker.why(base_of(a), base_of(b)))

    def _bring_home(self, group: Iterable[str], pairs: Iterable[Pair]) -> None:
        """Nodes of visits and contested values that are none any more: facts have them, so they belong to somebody."""
        people = self._people
        for seq, a, b, evidence, by_command in pairs:
            if b != base_of(b) and not is_contested(b) and not people.linked(a, b) and not self._apart(a, b):
                if not people.together(a, b):
                    people.merge(a, b, evidence, by_command)
                people.link(a, b, evidence, seq, by_command)
        for node in group:
            base = base_of(node)
            free = base in people.nodes and not people.contested(base)
            if is_contested(node) and free and not people.together(base, node):
                people.merge(base, node, Evidence("", 0))

    def _go_on(self, before: _Before, policy: MergePolicy) -> None:
        """A shared device goes on with its last login, if that still counts."""
        people = self._people
        for node, goes_to in before.current.items():
            if kind_of(node) in policy.weak and node in people.current and (goes_to == node or goes_to in people.links):
                people.goes_to(node, goes_to)

    def _tell(self, before: _Before, replayed: Iterable[IdentityFact], evidence: Evidence) -> None:
        """The difference, as facts of now."""
        people, facts = self._people, self._people.facts
        new = {fact.node for fact in replayed if isinstance(fact, Moved)} - before.persons.keys()
        for node in sorted(before.persons.keys() | new):
            was, (one_id, node_id, *_) = before.persons.get(node, ""), people.nodes[node]
            if was != one_id:
                facts.append(Moved(node, node_id, one_id, people.next_seq(), was))
                if was:
                    facts.append(Unlinked(node, None, was, one_id, evidence, people.next_seq()))
        for fact in replayed:
            if isinstance(fact, Held) and not self._held(pair_of(fact.a, fact.b or "")):
                continue  # an operator's link came after it
            if isinstance(fact, (Linked, Refused, Held)) and before.is_news(fact):
                facts.append(fact._replace(one_id=people.nodes[fact.a][0], seq=people.next_seq()))
        for pair in sorted(before.held):
            if not self._held(pair):
                people.free(pair, "", evidence)

    def _held(self, pair: str) -> bool:
        row = self._people.refused.get(pair)
        return row is not None and row.held
