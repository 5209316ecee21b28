"""A phone by all its names: the plain one, and the hashes that stand for it where a shop sends nothing else.

In: nodes; the schemes of a policy. Out: the nodes that are one value, whichever of them is named. Never: a decision
about a pair.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence, Set

from streams.identity.cuts import Cuts
from streams.identity.nodes import SEPARATOR, base_of, kind_of, parts_of
from streams.identity.people import People
from streams.identity.policy import MergePolicy
from streams.journal.tables import Tables

_KIND = "phone"


class Phones:
    """Table `aliases`: the hash of a phone that was seen → the phone."""

    def __init__(self, people: People, cuts: Cuts, tables: Tables) -> None:
        self._people = people
        self._cuts = cuts
        self.aliases = tables.table("aliases")

    def usable(self, nodes: Sequence[str], policy: MergePolicy) -> list[str]:
        """The ids that name somebody, the strongest first, phones in plain where they are known so."""
        aliases, known = self.aliases, self._people.nodes
        plain = {aliases.get(node, node) for node in nodes}
        good = [node for node in plain if node in known or not is_blocked(node, policy)]
        return by_strength(good, policy)

    def hashes(self, node: str, policy: MergePolicy) -> list[str]:
        """The nodes of a plain phone's hashes, by the schemes of the policy; none for other ids."""
        if not policy.hashed_phones or node != base_of(node):
            return []
        tenant, kind, scope, value = parts_of(node)
        if kind != _KIND or scope:
            return []
        return [SEPARATOR.join((tenant, kind, *hashed)) for hashed in policy.hashes(value)]

    def names(self, node: str, policy: MergePolicy) -> list[str]:
        """The nodes that stand for this value, known or not, a plain phone first: its hashes are the phone."""
        if kind_of(node) != _KIND:
            return [node]
        phone = self.aliases.get(node, node)
        return list(dict.fromkeys((phone, node, *self.hashes(phone, policy))))

    def forms(self, node: str, policy: MergePolicy) -> list[str]:
        """Those of its names that are known."""
        return [name for name in self.names(node, policy) if name in self._people.nodes]

    def bearers(self, node: str, policy: MergePolicy) -> list[str]:
        """A node of each person who has this id; of a phone that nobody showed in plain, of those with a hash of it.

        A hash that another has than the phone is the other's.
        """
        forms, nodes = self.forms(node, policy), self._people.nodes
        if node in forms:
            return [node]
        if self.aliases.get(node, node) in forms:
            return forms[:1]
        return list({nodes[form][0]: form for form in reversed(forms)}.values())

    def all_names(self, nodes: Iterable[str], policy: MergePolicy) -> frozenset[str]:
        """Every name of these values, also hashes that a policy of before knew."""
        names = frozenset(name for node in nodes for name in self.names(node, policy))
        return names.union(hashed for hashed, phone in self.aliases.items() if phone in names)

    def name_hashes(self, nodes: Iterable[str], policy: MergePolicy) -> dict[str, list[str]]:
        """From now on the hashes of these phones stand for the phones.

        The phones of which that is news, each with those from which an operator kept it apart by another name only. A
        hash that the policy itself blocks stands for nobody.
        """
        if not policy.hashed_phones:
            return {}
        found = {hashed: node for node in nodes for hashed in self.hashes(node, policy)}
        named = {one: node for one, node in found.items() if one not in self.aliases and not is_blocked(one, policy)}
        for hashed, node in named.items():
            self.aliases.put(hashed, node)
            self._people.settled.forget(hashed)
        return {node: self._cuts.share(self.names(node, policy)) for node in dict.fromkeys(named.values())}

    def unname(self, policy: MergePolicy, concerned: Callable[[str], bool]) -> None:
        """Hashes that the policy itself blocks stand for no phone any more."""
        for hashed in [one for one in self.aliases if concerned(one) and is_blocked(one, policy)]:
            self.aliases.drop(hashed)

    def unseen(self) -> list[str]:
        """Ids that nobody showed, of which an operator said that they are kept apart from one."""
        return [node for node in self._cuts.ends() if node not in self._people.nodes]

    def strike(self, nodes: Set[str]) -> None:
        """These were erased: none of their hashes stands for anything any more."""
        struck = [hashed for hashed, phone in self.aliases.items() if not nodes.isdisjoint((hashed, phone))]
        for hashed in struck:
            self.aliases.drop(hashed)


def by_strength(nodes: Iterable[str], policy: MergePolicy) -> list[str]:
    """These ids, the strongest first."""
    ranks = policy.ranks
    return sorted(nodes, key=lambda node: (ranks[kind_of(node)], node))


def is_blocked(node: str, policy: MergePolicy) -> bool:
    """Whether the node's value stands for nobody."""
    _, kind, scope, value = parts_of(node)
    return policy.blocked(kind, value, scope)
