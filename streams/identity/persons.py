"""Who is one person: ids that were seen together are one, for as long as no link is cut.

In: the ids of one event, in nodes; the event as evidence. Out: the node and person it belongs to; what changed.
Never: a limit or a weak kind (plain union-find over shared ids with blocked values), a clock.

A node is `tenant, kind, scope, value` joined by U+001F, which no accepted value can hold. A person is named by the
`one_id` of its founding node; when two merge, the one that was founded first keeps its name. Links are kept as facts
with the event that made them, from each event's strongest id to each of its others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from schemas.masking import keyed_hash
from streams.identity.policy import MergePolicy
from streams.journal.tables import Tables

SEPARATOR = "\x1f"


class Evidence(NamedTuple):
    """The event that made a change true."""

    event_id: str
    event_time_ms: int


class Node(NamedTuple):
    """What is known of a node: its person, its own hash, and the `seq` at which it was first seen."""

    one_id: str
    node_id: str
    seq: int


class Linked(NamedTuple):
    """Two nodes were seen together for the first time."""

    a: str
    b: str
    a_id: str
    b_id: str
    one_id: str
    evidence: Evidence
    seq: int


class Merged(NamedTuple):
    """Person `gone` became part of person `into`, over the link a-b."""

    gone: str
    into: str
    a: str
    b: str
    evidence: Evidence
    seq: int


class Moved(NamedTuple):
    """A node belongs to this person now: it is new, or came over in a merge."""

    node: str
    node_id: str
    one_id: str
    seq: int


IdentityFact = Linked | Merged | Moved
NOBODY = Node("", "", 0)
_SETTLED = 200_000


def kind_of(node: str) -> str:
    """The node's kind."""
    return node.split(SEPARATOR, 2)[1]


def parts_of(node: str) -> tuple[str, str, str, str]:
    """The node's tenant, kind, scope and value."""
    tenant, kind, scope, value = node.split(SEPARATOR, 3)
    return tenant, kind, scope, value


class Persons:
    """Tables `nodes` (node → Node), `persons` (one_id → founding seq) and `links` (a, b → evidence)."""

    def __init__(self, tables: Tables, policy: MergePolicy, salt: bytes) -> None:
        self._nodes = tables.table("nodes")
        self._persons = tables.table("persons")
        self._links = tables.table("links")
        self._meta = tables.table("meta")
        self._policy = policy
        self._salt = salt
        self._seq: int = self._meta.get("identity_seq", 0)
        self._settled: dict[tuple[str, ...], str] = {}
        self._members: dict[str, list[str]] = {}
        for node, known in self._nodes.items():
            self._nodes[node] = Node(*known)
            self._members.setdefault(known[0], []).append(node)
        self.facts: list[IdentityFact] = []

    def resolve(self, nodes: Sequence[str], evidence: Evidence) -> Node:
        """The strongest node of one event with its person, after its ids have become one. NOBODY without a good id."""
        if len(nodes) == 1:
            known: Node | None = self._nodes.get(nodes[0])
            if known is not None:
                return known
        settled = self._settled.get(tuple(nodes))
        if settled is not None:
            return self.node(settled)
        usable = [node for node in nodes if node in self._nodes or not self.is_blocked(node)]
        if not usable:
            return NOBODY
        usable.sort(key=self._strength)
        self._remember(nodes, usable[0])
        return self._join(usable, evidence)

    def _remember(self, nodes: Sequence[str], strongest: str) -> None:
        """What came together once is joined and linked for as long as no link is cut: no need to look again."""
        if len(self._settled) >= _SETTLED:
            self._settled.clear()
        self._settled[tuple(nodes)] = strongest

    def _join(self, nodes: list[str], evidence: Evidence) -> Node:
        strongest = nodes[0]
        known = [node for node in nodes if node in self._nodes]
        home = self._home(known) if known else self._found(strongest)
        for node in nodes:
            if node not in self._nodes:
                self._place(node, home)
        for other in nodes[1:]:
            self._link(strongest, other, evidence)
        return self.node(strongest)

    def _home(self, known: list[str]) -> str:
        """The person that new nodes of this event belong to: its oldest."""
        persons: set[str] = {self._nodes[node][0] for node in known}
        return min(persons, key=self._age)

    def _age(self, one_id: str) -> tuple[int, str]:
        return self._persons[one_id], one_id

    def _found(self, node: str) -> str:
        one_id = keyed_hash(node, self._salt)
        self._persons.put(one_id, self._next_seq())
        return one_id

    def _place(self, node: str, one_id: str) -> None:
        placed = Node(one_id, keyed_hash(node, self._salt), self._next_seq())
        self._nodes.put(node, placed)
        self._members.setdefault(one_id, []).append(node)
        self.facts.append(Moved(node, placed.node_id, one_id, placed.seq))

    def _link(self, a: str, b: str, evidence: Evidence) -> None:
        pair = f"{a}\x1e{b}" if a < b else f"{b}\x1e{a}"
        if pair in self._links:
            return
        self._links.put(pair, evidence)
        persons = {self._nodes[a][0], self._nodes[b][0]}
        if len(persons) == 2:
            into, gone = sorted(persons, key=self._age)
            self._merge(into, gone)
            self.facts.append(Merged(gone, into, a, b, evidence, self._next_seq()))
        one_id, a_id, _ = self._nodes[a]
        self.facts.append(Linked(a, b, a_id, self._nodes[b][1], one_id, evidence, self._next_seq()))

    def _merge(self, into: str, gone: str) -> None:
        for node in sorted(self._members.pop(gone)):
            self._move(node, into)
        self._persons.drop(gone)

    def _move(self, node: str, into: str) -> None:
        _, node_id, seq = self._nodes[node]
        self._nodes.put(node, Node(into, node_id, seq))
        self._members[into].append(node)
        self.facts.append(Moved(node, node_id, into, self._next_seq()))

    def node(self, node: str) -> Node:
        """The node as it is now; NOBODY if it is unknown."""
        known: Node = self._nodes.get(node, NOBODY)
        return known

    def usable(self, nodes: Sequence[str]) -> tuple[str, ...]:
        """Those of an event's nodes that name a person, the strongest first; after `resolve` has seen them."""
        return tuple(sorted((node for node in nodes if node in self._nodes), key=self._strength))

    def members(self, one_id: str) -> list[str]:
        """All nodes of a person, in alphabetical order; none for an unknown one."""
        return sorted(self._members.get(one_id, ()))

    def everyone(self) -> dict[str, list[str]]:
        """All persons with their nodes."""
        return {one_id: sorted(nodes) for one_id, nodes in self._members.items()}

    def take_facts(self) -> list[IdentityFact]:
        """What changed since the last call, in order."""
        facts, self.facts = self.facts, []
        return facts

    def _strength(self, node: str) -> tuple[int, str]:
        return self._policy.ranks[kind_of(node)], node

    def is_blocked(self, node: str) -> bool:
        """Whether the node's value stands for nobody."""
        _, kind, _, value = parts_of(node)
        return self._policy.blocked(kind, value)

    def _next_seq(self) -> int:
        self._seq += 1
        self._meta.put("identity_seq", self._seq)
        return self._seq
