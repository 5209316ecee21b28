"""What follows when a value is found out, and when an operator releases or rejects what is held.

In: values that were seen with somebody new; operators' words. Out: rows and facts, as if the value had been blocked
from the start, or as if it had never been suspected. Never: a decision about a pair (see `meetings`).

Values that are found out at one event are found one after the other, each by what is left when the links of those
before it are held.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import product

from schemas.records import BY_HASH
from streams.identity.breaker import REJECTED, Breaker
from streams.identity.changes import Freed, Held
from streams.identity.cutting import Cutting
from streams.identity.meetings import Meetings, Sighting
from streams.identity.nodes import BETWEEN, SEPARATOR, Evidence, pair_of, tenant_of
from streams.identity.people import People
from streams.identity.phones import Phones
from streams.identity.policy import MergePolicy

_NOT_HELD = "it is not held"


class Quarantine:
    """Changes who is suspected, and has all decided again that it can matter to."""

    def __init__(self, people: People, phones: Phones, breaker: Breaker, meetings: Meetings, cutting: Cutting) -> None:
        self._people = people
        self._phones = phones
        self._meetings = meetings
        self._breaker = breaker
        self._cutting = cutting

    def look(self, policy: MergePolicy, evidence: Evidence) -> None:
        """Looks at the values of new pairs, and suspects those that were seen with too many."""
        todo = deque(self._breaker.fresh)
        self._breaker.fresh.clear()
        while todo:
            node = todo.popleft()
            line = self._inherited(node, policy) or self._breaker.degrees.exceeded(node, policy)
            if line:
                todo += self._suspect(node, line, policy, evidence)

    def _inherited(self, node: str, policy: MergePolicy) -> str:
        """The line by which the phone is suspected in another form, the plain or a hash; "" if in none, or in all."""
        suspects = self._breaker.suspects
        forms = self._phones.forms(node, policy) if suspects else ()
        lines = [suspects[one][3] for one in forms if one in suspects]
        if not 0 < len(lines) < len(forms):
            return ""
        return REJECTED if REJECTED in lines else str(lines[0])

    def _suspect(self, node: str, reason: str, policy: MergePolicy, evidence: Evidence) -> list[str]:
        """Holds its links, also those that it made before; the values of pairs that come to light by that."""
        people, breaker = self._people, self._breaker
        forms = self._phones.forms(node, policy)
        nodes = [one for one in forms if reason == REJECTED or one not in breaker.suspects]
        for one in nodes:
            breaker.suspect(one, evidence, reason)
        news = [value for one in nodes for value in self._news(one)]
        self._cutting.decide_again(nodes, policy, evidence)
        for one in nodes if reason != REJECTED else ():
            one_id, node_id, *_ = people.nodes[one]
            people.facts.append(Held(one, None, node_id, "", one_id, reason, evidence, people.next_seq()))
        return news

    def _news(self, node: str) -> list[str]:
        found = []
        for pair in self._breaker.beside(node):
            seen = self._breaker.degrees.first_seen(pair.a, pair.b)
            if seen is None or seen > pair.seq:
                found += [pair.b, pair.a]
        return found

    def release(self, a: str, b: str | None, policy: MergePolicy, evidence: Evidence) -> str:
        """Decides what is held of the pair, or of the value, as if nothing spoke against it but limits."""
        held = self._held(a, b, policy)
        if not held:
            return _NOT_HELD
        for one, other in held:
            self._breaker.release(one if other is None else pair_of(one, other), evidence)
        self._cutting.decide_again([node for pair in held for node in pair if node is not None], policy, evidence)
        for one, other in held:
            self._tell("released", one, other, evidence)
        return ""

    def reject(self, a: str, b: str | None, policy: MergePolicy, evidence: Evidence) -> str:
        """Cuts the pair; or keeps the value apart for good, whether it was suspected or not."""
        if b is not None:
            return self._reject_pair(a, b, policy, evidence)
        self._meetings.alone(a, Sighting(policy, evidence))
        known = set(self._breaker.suspects)
        self._breaker.fresh += self._suspect(a, REJECTED, policy, evidence)
        self.look(policy, evidence)
        for node in self._phones.forms(a, policy):
            if node in known and node != a:
                self._tell("rejected", node, None, evidence)
        self._tell("rejected", a, None, evidence)
        return ""

    def _reject_pair(self, a: str, b: str, policy: MergePolicy, evidence: Evidence) -> str:
        held = self._held(a, b, policy)
        if not held:
            return _NOT_HELD
        self._cutting.cut(a, b, policy, evidence)
        for one, other in held:
            self._tell("rejected", one, other, evidence)
        return ""

    def _held(self, a: str, b: str | None, policy: MergePolicy) -> list[tuple[str, str | None]]:
        """The pair, or the value, by each of those names by which it is held: a phone and its hashes are one."""
        names = self._phones.names(a, policy)
        others: Sequence[str | None] = (None,) if b is None else self._phones.names(b, policy)
        return [(one, other) for one, other in product(names, others) if self.is_held(one, other)]

    def is_held(self, a: str, b: str | None) -> bool:
        """Whether the pair waits for an operator's word; or, without `b`, whether the value is suspected."""
        if b is None:
            return a in self._breaker.suspects
        row = self._people.refused.get(pair_of(a, b))
        return row is not None and row.held

    def _tell(self, word: str, a: str, b: str | None, evidence: Evidence) -> None:
        people = self._people
        (one_id, a_id, *_), b_id = people.nodes[a], people.nodes[b][1] if b is not None else ""
        people.facts.append(Freed(a, b, a_id, b_id, one_id, word, evidence, people.next_seq()))

    def node_of(self, node: str) -> str:
        """The node of a suspected value, or of a held pair's, that has this hash; another node as it is."""
        tenant, kind, _, value = node.split(SEPARATOR)[:4]
        if kind != BY_HASH:
            return node
        people = self._people
        held = (end for pair in people.refused if people.refused[pair].held for end in pair.split(BETWEEN))
        found = (one for one in (*self._breaker.suspects, *held) if one in people.nodes and tenant_of(one) == tenant)
        return next((one for one in found if people.nodes[one][1] == value), node)
