"""The rows of who is who: nodes, persons, links, refusals; and the elementary changes of them.

In: decisions that others made. Out: rows, and a fact for each change. Never: a decision.

A link stands in the row of its weaker end, with its evidence: a value has few stronger ones. Where events under a value
alone go now stands in `current`, for values that several people used.
"""

from __future__ import annotations

from collections.abc import Iterable

from streams.compact.cold import OnDemand
from streams.compact.rows import Link, Node
from streams.compact.tiered import Tiered
from streams.identity.changes import Freed, Held, IdentityFact, Linked, Merged, Moved, Refused, Unlinked
from streams.identity.erased import Ledger
from streams.identity.nodes import BETWEEN, NOBODY, Evidence, base_of, hash_of, is_contested, pair_of
from streams.identity.refusals import Refusal, Refusals
from streams.identity.settled import Settled
from streams.journal.tables import Tables


class People:
    """Tables `nodes`, `persons` (one_id → founding seq), `links` and `current`; and refusals."""

    def __init__(self, tables: Tables, salt: bytes) -> None:
        self.nodes = tables.table("nodes")
        self.links = tables.table("links")
        self.refused = Refusals(tables)
        self.current = tables.table("current")
        self._persons = tables.table("persons")
        self._meta = tables.table("meta")
        self.erased = Ledger(tables, salt)
        self._salt = salt
        self._seq: int = self._meta.get("identity_seq", 0)
        self._ids = tables.ids
        known = tables.ids.cold_members()
        self._members: Tiered[tuple[str, ...]] | OnDemand[tuple[str, ...]] = (
            tables.ids.members() if known is None else known
        )
        self._visits: dict[str, set[str]] = {}
        self.settled = Settled()
        self.facts: list[IdentityFact] = []
        self._restore()

    def _restore(self) -> None:
        if isinstance(self._members, Tiered):
            for node, (one_id, *_) in self.nodes.each():
                self._enlist(node, one_id)
        for node in self._ids.visits():
            self._note_visit(node)

    def _enlist(self, node: str, one_id: str) -> None:
        self._members[one_id] = (*self._members.get(one_id, ()), node)
        self._note_visit(node)

    def _note_visit(self, node: str) -> None:
        base = base_of(node)
        if base != node:
            self._visits.setdefault(base, set()).add(node)

    # Questions

    def members(self, one_id: str) -> tuple[str, ...]:
        """The nodes of a person, in no order; none for an unknown one."""
        return self._members.get(one_id, ())

    def side(self, node: str) -> tuple[str, ...]:
        """The nodes of the person that has this node, or would have if it is new."""
        known = self.nodes.get(node)
        return (node,) if known is None else self._members[known[0]]

    def everyone(self) -> dict[str, list[str]]:
        """All persons with their nodes."""
        found: dict[str, list[str]] = {}
        for node, (one_id, *_) in self.nodes.each():
            found.setdefault(one_id, []).append(node)
        return {one_id: sorted(nodes) for one_id, nodes in found.items()}

    def visits(self, node: str) -> Iterable[str]:
        """The other nodes of this value."""
        return self._visits.get(node, ())

    def met(self, a: str, b: str) -> bool:
        """Whether the two were seen together before: linked, on a visit or refused."""
        if pair_of(a, b) in self.refused or self.linked(a, b):
            return True
        return any(row[0] == a for visit in self.visits(b) for row in self.links.get(visit, ()))

    def tied(self, node: str) -> bool:
        """Whether any link of its person holds this node."""
        rows = (row for one in self.side(node) for row in self.links.get(one, ()))
        return bool(self.links.get(node)) or any(row[0] == node for row in rows)

    def linked(self, a: str, b: str) -> bool:
        """Whether there is a link between the two."""
        for row in self.links.get(b, ()):
            if row[0] == a:
                return True
        return any(row[0] == b for row in self.links.get(a, ()))

    def contested(self, node: str) -> bool:
        """Whether two known persons claim this value."""
        goes_to = self.current.get(node)
        return goes_to is not None and is_contested(goes_to)

    def together(self, a: str, b: str) -> bool:
        """Whether both are known, and of one person."""
        known, other = self.nodes.get(a), self.nodes.get(b)
        return known is not None and other is not None and known[0] == other[0]

    def node_id(self, node: str) -> str:
        """The hash that this node has, or would get: another one after each time that it was erased."""
        return hash_of(node, self._salt, self.erased.times(node))

    # Changes

    def next_seq(self) -> int:
        """A number greater than all before."""
        self._seq += 1
        self._meta.put("identity_seq", self._seq)
        return self._seq

    def found(self, node: str, seen_ms: int) -> None:
        """A new node is a person of its own, which bears the hash of this node as its name."""
        self.place(node, self.node_id(node), seen_ms)

    def place(self, node: str, one_id: str, seen_ms: int) -> None:
        """A new node belongs to this person."""
        placed = Node(one_id, self.node_id(node), self.next_seq(), seen_ms)
        self.nodes.put(node, placed)
        if one_id in self._persons:
            self._enlist(node, one_id)
        else:
            self._members[one_id] = (node,)
            self._note_visit(node)
            self._persons.put(one_id, placed.seq)
        self.facts.append(Moved(node, placed.node_id, one_id, placed.seq))

    def merge(self, a: str, b: str, evidence: Evidence, by_command: bool = False) -> None:
        """The persons of two nodes become one: the one that was founded first keeps its name."""
        into, gone = sorted({self.nodes[a][0], self.nodes[b][0]}, key=self._age)
        joining = sorted(self._members.pop(gone))
        self._members[into] = (*self._members[into], *joining)
        for node in joining:
            _, node_id, seq, seen_ms = self.nodes[node]
            self.nodes.put(node, Node(into, node_id, seq, seen_ms))
            self.facts.append(Moved(node, node_id, into, self.next_seq(), gone))
        for node in self._members[into]:
            if base_of(node) != node:
                self.settled.forget(base_of(node))  # it may be on its own person's device now
        self._persons.drop(gone)
        self.facts.append(Merged(gone, into, a, b, evidence, self.next_seq(), by_command))

    def _age(self, one_id: str) -> tuple[int, str]:
        return self._persons[one_id], one_id

    def link(self, a: str, b: str, evidence: Evidence, seq: int | None, by_command: bool = False) -> None:
        """Notes a link in the row of `b`, with this number if it has one already."""
        number = self.next_seq() if seq is None else seq
        self.links.put(b, (*self.links.get(b, ()), Link(a, *evidence, number, by_command)))
        one_id, a_id, *_ = self.nodes[a]
        self.facts.append(Linked(a, b, a_id, self.nodes[b][1], one_id, evidence, number, by_command))

    def refuse(self, a: str, b: str, why: Refusal) -> None:
        """Notes that a pair is not linked; of the same refusal there is one fact, however often it is seen."""
        pair = pair_of(a, b)
        before = self.refused.get(pair)
        if before is not None:
            if before[3:] == why[3:]:
                return
            why = why._replace(event_id=before[0], event_time_ms=before[1], seq=before[2])
        elif not why.seq:
            why = why._replace(seq=self.next_seq())
        self.refused.put(pair, why)
        if before is None or before[3] != why.reason or (why.held and not before[5]):
            self.facts.append(self._refusal(a, b, why))
        if before is not None and before[5] and not why.held:
            self.free(pair, "", Evidence(*why[:2]))

    def _refusal(self, a: str, b: str, why: Refusal) -> Refused | Held:
        (one_id, a_id, *_), b_id, evidence = self.nodes[a], self.nodes[b][1], Evidence(*why[:2])
        if why.held:
            return Held(a, b, a_id, b_id, one_id, why.reason, evidence, why.seq)
        return Refused(a, b, one_id, why.reason, evidence, why.seq)

    def settle(self, pair: str, evidence: Evidence) -> None:
        """The pair is linked, by an operator's word or another policy: it waits no more."""
        row = self.refused.get(pair)
        if row is not None and row.held:
            self.refused.put(pair, row._replace(held=False))
            self.free(pair, "", evidence)

    def free(self, pair: str, word: str, evidence: Evidence) -> None:
        """Tells that a pair is held no more."""
        a, b = pair.split(BETWEEN)
        (one_id, a_id, *_), b_id = self.nodes.get(a, NOBODY), self.nodes.get(b, NOBODY)[1]
        self.facts.append(Freed(a, b, a_id, b_id, one_id, word, evidence, self.next_seq()))

    def goes_to(self, node: str, current: str) -> None:
        """Events under this value alone go to that node from now on."""
        if self.current.get(node) != current:
            self.settled.forget(node)
            self.current.put(node, current)

    def part(self, node: str, evidence: Evidence) -> None:
        """A node that no link holds leaves its person, and is one of its own."""
        was, node_id, seq, seen_ms = self.nodes[node]
        if was == node_id:
            return  # the others bear its name
        self._members[was] = tuple(one for one in self._members[was] if one != node)
        self._members[node_id] = (node,)
        self._persons.put(node_id, seq)
        self.nodes.put(node, Node(node_id, node_id, seq, seen_ms))
        self.facts.append(Moved(node, node_id, node_id, self.next_seq(), was))
        self.facts.append(Unlinked(node, None, was, node_id, evidence, self.next_seq()))

    def scatter(self, nodes: Iterable[str]) -> None:
        """Takes whole persons apart: each node is alone again, as when it was first seen, with no link or refusal."""
        for node in nodes:
            one_id, node_id, seq, seen_ms = self.nodes[node]
            self._members.pop(one_id, None)
            self._persons.drop(one_id)
        for node in nodes:
            _, node_id, seq, seen_ms = self.nodes[node]
            self.nodes.put(node, Node(node_id, node_id, seq, seen_ms))
            self._members[node_id] = (node,)
            self._persons.put(node_id, seq)
            self.links.drop(node)
            self.current.drop(node)
            self.refused.drop_of(node)
        self.settled.clear()

    def remove(self, node: str) -> None:
        """A node that is alone is gone: its facts are of nobody."""
        one_id, node_id, *_ = self.nodes[node]
        self.nodes.drop(node)
        self._persons.drop(one_id)
        del self._members[one_id]
        self._visits.pop(node, None)
        self.facts.append(Moved(node, node_id, "", self.next_seq(), one_id))

    def erase(self, node: str, time_ms: int) -> None:
        """A node that is alone is gone, and what was seen of it up to this time is not to come back."""
        self._members.pop(self.nodes[node][0], None)
        self._persons.drop(self.nodes[node][0])
        self.nodes.drop(node)
        self._visits.get(base_of(node), set()).discard(node)
        self.erased.add(node, time_ms)

    def wipe(self, nodes: Iterable[str]) -> None:
        """Nothing names these any more, unless they are nodes again."""
        for node in nodes:
            if node not in self.nodes:
                self._ids.wipe(node)
