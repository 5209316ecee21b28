"""Who is one person: what ids that were seen together are by the tenant's policy, for as long as no link is cut.

In: the ids of one event, in nodes; the event as evidence; policy texts; operators' commands (see `commands`).
Out: the node and person that an event belongs to; what changed. Never: a clock.

A person is named by the hash of its founding node; when two merge, the one that was founded first keeps its name. An
event's strongest id is seen together with each of its others, and `meetings` decides these pairs. Most events bring
nothing new: of those only a look-up is asked here.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from streams.compact.rows import Node
from streams.identity.breaker import Breaker
from streams.identity.changes import IdentityFact
from streams.identity.commands import Commands
from streams.identity.cuts import Cuts
from streams.identity.cutting import Cutting
from streams.identity.erasing import Erasing
from streams.identity.explain import Chain, explain
from streams.identity.meetings import Meetings, Sighting
from streams.identity.nodes import NOBODY, Evidence, base_of, kind_of, pair_of, tenant_of
from streams.identity.people import People
from streams.identity.phones import Phones, is_blocked
from streams.identity.policy import DEFAULT, EVERY_TENANT, MergePolicy, Policies
from streams.identity.quarantine import Quarantine
from streams.journal.tables import Tables


class Persons:
    """Everyone known to one shard. `commands`: what operators say of them."""

    def __init__(self, tables: Tables, salt: bytes, default: MergePolicy = DEFAULT) -> None:
        self._policies = Policies(tables, default)
        self._people = People(tables, salt)
        cuts = Cuts(tables)
        self._phones = Phones(self._people, cuts, tables)
        self._breaker = Breaker(self._people, self._phones, tables)
        self._meetings = Meetings(self._people, self._phones, cuts, self._breaker)
        self._cutting = Cutting(self._people, self._phones, cuts, self._breaker, self._meetings)
        self._quarantine = Quarantine(self._people, self._phones, self._breaker, self._meetings, self._cutting)
        erasing = Erasing(self._people, self._phones, cuts, self._breaker, self._cutting)
        self.commands = Commands(self._policies, self._phones, self._cutting, erasing, self._quarantine)
        self._aliases = self._phones.aliases
        self._nodes = self._people.nodes
        self._at_hand = self._nodes.at_hand
        self._current = self._people.current
        self._settled = self._people.settled
        self.erased = self._people.erased
        self.facts: list[IdentityFact] = self._people.facts

    # Events

    def resolve(self, nodes: Sequence[str], evidence: Evidence) -> Node:
        """The node that one event belongs to, with its person, after its ids have met. NOBODY without a good id."""
        if len(nodes) == 1:
            node = nodes[0]
            known: Node | None = self._at_hand.get(node) or self._nodes.get(node)
            if known is not None and node not in self._current and node not in self._aliases:
                return known
        settled = self._settled.get(tuple(nodes))
        if settled is not None:
            return self.node(settled)
        at_once = self._at_once(nodes)
        if at_once is not None:
            return at_once
        policy = self._policies.of(tenant_of(nodes[0]))
        self._cutting.name(nodes, policy, evidence)
        usable = self._phones.usable(nodes, policy)
        return self._meet(nodes, usable, Sighting(policy, evidence)) if usable else NOBODY

    def unerased(self, nodes: Sequence[str], time_ms: int) -> Sequence[str] | None:
        """An event's nodes less those that were erased after it happened; None where it is of such a one."""
        plain = {node: self._aliases.get(node, node) for node in nodes}
        struck = self.erased.struck((*plain, *plain.values()), time_ms)
        if not struck:
            return nodes
        left = [node for node in nodes if struck.isdisjoint((node, plain[node]))]
        policy = self._policies.of(tenant_of(nodes[0]))
        usable = self._phones.usable(nodes, policy)
        whose = base_of(self._goes_to(usable, policy)) if usable else ""
        gone = {plain[node] for node in nodes if node not in left}.difference(left)
        return None if not left or whose in gone else left

    def _at_once(self, nodes: Sequence[str]) -> Node | None:
        """Where two ids belong that are linked and have nothing odd about them; None where all must be asked."""
        if len(nodes) != 2:
            return None
        a, b = nodes
        for odd in (self._current, self._aliases, self._breaker.suspects):
            if a in odd or b in odd:
                return None
        ranks = self._policies.of(tenant_of(a)).ranks
        rank, other = ranks[kind_of(a)], ranks[kind_of(b)]
        first, second = (a, b) if rank < other or (rank == other and a < b) else (b, a)
        if not self._people.linked(first, second):
            return None
        node: Node = self._nodes[first]
        return node

    def _meet(self, nodes: Sequence[str], usable: list[str], seen: Sighting) -> Node:
        trusted = self._breaker.trusted(usable)
        if len(trusted) == 1:
            self._meetings.alone(trusted[0], seen)
        for at, strongest in enumerate(usable):
            for other in usable[at + 1 :]:
                self._meetings.meet(strongest, other, seen)
            if strongest not in self._breaker.suspects:
                self._breaker.note(usable[at:], seen.evidence)
                break
        if self._breaker.fresh:
            self._quarantine.look(seen.policy, seen.evidence)
        goes_to = self._goes_to(usable, seen.policy)
        if (len(nodes) > 1 or goes_to != nodes[0]) and not self._may_log_in(usable, seen.policy):
            self._settled.remember(tuple(nodes), usable, goes_to)
        return self.node(goes_to)

    def _may_log_in(self, usable: Sequence[str], policy: MergePolicy) -> bool:
        """Whether a login was refused that may be accepted later: limits have spans, and a person becomes known."""
        refused, weak = self._people.refused, [node for node in usable if kind_of(node) in policy.weak]
        return any(pair_of(node, device) in refused for device in weak for node in usable if node != device)

    def _goes_to(self, usable: Sequence[str], policy: MergePolicy) -> str:
        """The strongest id that is neither weak nor contested, else the contested, else the weak one's last login.

        Suspected ones do not count, unless there is no other.
        """
        current, usable = self._current, self._breaker.trusted(usable)
        if usable[0] not in current:
            return usable[0]
        firm = (node for node in usable if kind_of(node) not in policy.weak and node not in current)
        return next(firm, current[usable[0]])

    def usable(self, nodes: Sequence[str]) -> tuple[str, ...]:
        """Those of an event's nodes that name a person, after `resolve` has seen them; the one it belongs to first."""
        if not nodes:
            return ()
        policy = self._policies.of(tenant_of(nodes[0]))
        known = [node for node in self._phones.usable(nodes, policy) if node in self._nodes]
        if not known:
            return ()
        first = self._goes_to(known, policy)
        return first, *(node for node in self._breaker.trusted(known) if node != base_of(first))

    # Policies

    def apply(self, tenant: str, text: str, evidence: Evidence) -> MergePolicy:
        """Puts a policy in force for what comes; values that it blocks leave their persons at once.

        Raises InvalidPolicy and changes nothing.
        """
        applied = self._policies.apply(tenant, text)
        self._settled.clear()

        def concerned(node: str) -> bool:
            of = tenant_of(node)
            return tenant in (of, EVERY_TENANT) and self._policies.of(of) is applied

        self._phones.unname(applied, concerned)
        for node in filter(concerned, self._nodes.in_order()):
            self._look_again(node, applied, evidence)
        if applied.lists:
            self._breaker.pass_over(lambda node: concerned(node) and is_blocked(self._aliases.get(node, node), applied))
        self._cutting.name(filter(concerned, self._phones.unseen()), applied, evidence)
        self._quarantine.look(applied, evidence)
        return applied

    def _look_again(self, node: str, policy: MergePolicy, evidence: Evidence) -> None:
        odd = policy.hashed_phones or node in self._aliases or is_blocked(node, policy)
        if not odd or node != base_of(node) or node not in self._nodes:
            return
        news = self._cutting.name((node,), policy, evidence)
        if is_blocked(self._aliases.get(node, node), policy):
            if node in self._nodes:  # it did not leave with what it is another name of
                self._cutting.remove(node, policy, evidence)
        elif news:
            self._meetings.meet_hashes(node, Sighting(policy, evidence))

    # Questions

    def node(self, node: str) -> Node:
        """The node as it is now; NOBODY if it is unknown."""
        known: Node = self._nodes.get(node, NOBODY)
        return known

    def hash_of(self, node: str) -> str:
        """The node's hash, under which facts have it."""
        known = self._nodes.get(node)
        return self._people.node_id(node) if known is None else str(known[1])

    def members(self, one_id: str) -> list[str]:
        """All nodes of a person, in alphabetical order; none for an unknown one."""
        return sorted(self._people.members(one_id))

    def addresses(self, one_id: str, at_hand: Collection[str]) -> list[str]:
        """The nodes under which a person can be reached, in alphabetical order.

        A value that another person claims is none, unless it is at hand: it stood on the event that matters. One that
        is suspected never is.
        """
        contested, suspects = self._people.contested, self._breaker.suspects
        trusted = (node for node in self.members(one_id) if node not in suspects)
        return [node for node in trusted if node in at_hand or not contested(node)]

    def everyone(self) -> dict[str, list[str]]:
        """All persons with their nodes."""
        return self._people.everyone()

    def explain(self, a: str, b: str) -> Chain | None:
        """Why two ids are one person: the shortest chain of evidence; None where they are not."""
        one_id = self.node(a).one_id
        if not one_id or self.node(b).one_id != one_id:
            return None
        links = {node: self._people.links.get(node, ()) for node in self.members(one_id)}
        ranks = self._policies.of(tenant_of(a)).ranks
        return explain(links, a, b, lambda node: ranks[kind_of(node)])

    def take_facts(self) -> list[IdentityFact]:
        """What changed since the last call, in order."""
        facts = list(self.facts)
        self.facts.clear()
        return facts
