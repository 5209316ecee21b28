"""A person is taken out, with all that was seen of it, and is in the ledger of the erased from then on.

In: a person; the id by which an operator named it. Out: rows and facts, as if the person's events had never been; the
hashes that are erased. Never: a value taken from others who have shown it too.
"""

from __future__ import annotations

from collections.abc import Collection

from streams.identity.breaker import Breaker
from streams.identity.changes import Erased
from streams.identity.cuts import Cuts
from streams.identity.cutting import Cutting
from streams.identity.nodes import Evidence, base_of, kind_of, tenant_of
from streams.identity.people import People
from streams.identity.phones import Phones
from streams.identity.policy import MergePolicy


class Erasing:
    """Erases among these people."""

    def __init__(self, people: People, phones: Phones, cuts: Cuts, breaker: Breaker, cutting: Cutting) -> None:
        self._people = people
        self._phones = phones
        self._cuts = cuts
        self._breaker = breaker
        self._cutting = cutting

    def erase(self, named: str, policy: MergePolicy, evidence: Evidence) -> None:
        """Takes each person out who has this id; a phone that nobody showed in plain is of all with a hash of it.

        One that nobody has, as a blocked one, leaves what names it all the same.
        """
        people = self._people
        bearers = self._phones.bearers(named, policy)
        if not bearers:
            self._strike({named}, policy)
        for bearer, name in zip(bearers, (named, *bearers[1:]), strict=False):
            one_id = people.nodes[bearer][0]
            nodes = self._take_out(one_id, name, policy, evidence)
            people.wipe(node for node, _ in nodes)
            seq = people.next_seq()
            people.facts.append(Erased(tenant_of(named), one_id, kind_of(named), nodes, evidence, seq))

    def _take_out(
        self, one_id: str, named: str, policy: MergePolicy, evidence: Evidence
    ) -> tuple[tuple[str, str], ...]:
        """The nodes of this person, and other names of them and of `named`, with the hashes that they had.

        A value that others have shown too is theirs from now on, under a new hash. A name of a phone that is another
        person's stays as it is: but it stood for the phone, so what happened under it until now was the erased's.
        """
        people, until_ms = self._people, evidence.event_time_ms
        gone = self._with_claims(frozenset(people.members(one_id)), policy)
        names = self._phones.all_names((node for node in {*gone, named} if not self._of_others(node, gone)), policy)
        unseen = sorted(node for node in names if node not in people.nodes)
        for node in names - gone - set(unseen):
            people.erased.pass_over(node, until_ms)
        hashes = tuple((node, people.node_id(node)) for node in unseen)
        hashes += tuple((node, people.nodes[node][1]) for node in sorted(gone))
        self._cutting.decide_again(gone, policy, evidence, erased=gone)
        for node in unseen:
            people.erased.add(node, until_ms)
        self._strike({*gone, named}, policy)
        for node in sorted(node for node in gone if node in people.nodes):
            self._breaker.tell(node)
        return hashes

    def _of_others(self, node: str, gone: Collection[str]) -> bool:
        """Whether it is a hash of a phone that another person has: the phone's other names are theirs."""
        phone = self._phones.aliases.get(node, node)
        return phone in self._people.nodes and phone not in gone

    def _strike(self, gone: Collection[str], policy: MergePolicy) -> None:
        """Nothing names these any more, unless others have shown them too."""
        nodes, aliases = self._people.nodes, self._phones.aliases
        names = self._phones.all_names((node for node in gone if node not in nodes), policy)
        nowhere = {node for node in names if node not in nodes and aliases.get(node, node) not in nodes}
        self._phones.strike(nowhere)
        self._cuts.strike(nowhere)
        self._breaker.strike(nowhere)

    def _with_claims(self, nodes: frozenset[str], policy: MergePolicy) -> frozenset[str]:
        """These nodes, and those that stand alone for a part of a value's events, of values that nobody else claims."""
        people = self._people
        alone = [part for node in nodes for part in people.visits(node) if people.side(part) == (part,)]
        claims = {
            node: [self._cutting.refused(pair, policy) for pair in people.refused.of(base_of(node))] for node in alone
        }
        return nodes.union(
            node for node in alone if all(self._cutting.is_of(claim, nodes, policy) for claim in claims[node])
        )
