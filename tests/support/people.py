"""Who is one person by a merge policy, worked out slowly: the whole log again for each question.

In: sightings of ids in order, commands, policies as plain words. Out: a graph whose components are persons.
Never: code of `streams`; a memory of what was decided: every sighting is decided anew (only whether it is a claim is
asked of the first one, under each policy).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from hashlib import blake2b

import networkx as nx

from tests.support.lines import Id, MergePolicyText, Scheme

BLOCKED = {"", "0", "00000000", "000-000", "-1", "1", "null", "None", "'anonymous'", '"test"', "undefined"}
USUAL = MergePolicyText(
    name="default",
    values=tuple((kind, "weak") for kind in ("device_id", "cookie")),
    hold=(
        *((kind, 1, 0) for kind in ("uid", "unionid", "external_userid", "openid")),
        *((kind, 3, 0) for kind in ("phone", "email", "member_card")),
        ("marketplace_id", 2, 0),
        *(("device_id", 5, 7 * 86_400_000), ("device_id", 50, 0)),
        *(("cookie", 10, 7 * 86_400_000), ("cookie", 200, 0)),
    ),
    large=12,
    rivals=2,
)

Node = tuple[str, ...]
"""Tenant, kind, scope, value; a fifth part tells a visit or a contested value's own events apart."""


@cache
def hashed(phone: str, shop: Scheme) -> str:
    """A phone as this shop hashes it."""
    number = phone.removeprefix("+86") if shop.form == "national" else phone
    text = number + shop.salt if shop.salt_at == "end" else shop.salt + number
    return hashlib.new(shop.algorithm, text.encode()).hexdigest()


def hashes(node: Node, policy: MergePolicyText) -> list[Node]:
    """A plain phone as each shop of this policy hashes it; of another id none."""
    if len(node) != 4 or node[1:3] != ("phone", ""):
        return []
    return [(node[0], "phone", shop.scope, hashed(node[3], shop)) for shop in policy.shops]


def is_blocked(node: Node, policy: MergePolicyText) -> bool:
    """Whether it names nobody: a placeholder, what the policy lists, its shops' hashes of that, what a pattern fits."""
    value = node[3].strip("'\"")
    if node[3] in BLOCKED or value.casefold() in {one.strip("'\"").casefold() for one in policy.blocked}:
        return True
    if any(node[:4] in hashes((node[0], "phone", "", one), policy) for one in policy.blocked):
        return True
    return any(kind in ("", node[1]) and re.fullmatch(pattern, value) for kind, pattern in policy.patterns)


@dataclass
class People:
    """Everyone after some sightings; `cut` are the pairs that count as never seen, `suspects` values as if blocked.

    `met`: each pair with its stronger id and the time of its first sighting. `held`: refused pairs that may yet be
    released.
    """

    salt: bytes
    cut: frozenset[frozenset[Node]] = frozenset()
    suspects: frozenset[Node] = frozenset()
    met: dict[frozenset[Node], tuple[Node, Node, int]] = field(default_factory=dict)
    held: set[frozenset[Node]] = field(default_factory=set)
    graph: nx.Graph[Node] = field(default_factory=nx.Graph)
    seen: dict[Node, int] = field(default_factory=dict)
    current: dict[Node, Node] = field(default_factory=dict)
    contested: set[Node] = field(default_factory=set)
    refused: dict[frozenset[Node], str] = field(default_factory=dict)
    _under: dict[frozenset[Node], MergePolicyText] = field(default_factory=dict)

    def hash(self, node: Node) -> str:
        """The name of a node, and of a person that it founds."""
        return blake2b("\x1f".join(node).encode(), digest_size=16, key=self.salt).hexdigest()

    def person(self, node: Node) -> set[Node]:
        """All ids of the one who has this id."""
        return set(nx.node_connected_component(self.graph, node))

    def one_id(self, node: Node) -> str:
        """The name of that person: its first id, hashed."""
        order = list(self.seen)
        return self.hash(min(self.person(node), key=order.index))

    def tied(self, about: Iterable[Node]) -> set[Node]:
        """All who hang together with these by links, refusals, visits and contested values."""
        ties = nx.Graph(self.graph.edges)
        ties.add_nodes_from(self.graph)
        ties.add_edges_from(tuple(pair) for pair in self.refused if len(pair) == 2)
        ties.add_edges_from((node, node[:4]) for node in self.graph if len(node) == 5)
        found = [nx.node_connected_component(ties, node) for node in about if node in ties]
        return set[Node]().union(*found)

    def usable(
        self, tenant: str, ids: Iterable[Id], policy: MergePolicyText, told: Mapping[Node, Node] | None = None
    ) -> list[Node]:
        """The ids that may name somebody, the strongest first, hashes as the phones that they are known to be of.

        `told`: hashes of which the phone was shown, though it may be nobody.
        """
        nodes = [node for node in ((tenant, *given) for given in ids) if not is_blocked(node, policy)]
        plain = dict(told or {})
        for phone in (*self.seen, *nodes) if policy.shops else ():
            plain |= dict.fromkeys(hashes(phone, policy), phone)
        known = {plain.get(node, node) for node in nodes}
        return sorted((node for node in known if not is_blocked(node, policy)), key=policy.rank)

    def goes_to(self, nodes: Sequence[Node], policy: MergePolicyText) -> Node | None:
        """The node that an event with these ids belongs to."""
        nodes = [node for node in nodes if node not in self.suspects] or nodes
        weak = [node for node in nodes if policy.of(node[1]) == "weak"]
        contested = [node for node in nodes if node in self.contested]
        strong = [node for node in nodes if node not in weak and node not in contested]
        for node in (*strong, *contested, *weak):
            return node if node in strong else self.current.get(node, node)
        return None

    # Sightings

    def sight(self, nodes: Sequence[Node], time: int, policy: MergePolicyText, by_command: bool = False) -> None:
        """These ids, the strongest first, were seen together."""
        fresh = [node for node in nodes if node not in self.graph]
        for node in fresh:
            self._add(node, time)
        for at, first in enumerate(nodes):
            for other in nodes[at + 1 :]:
                self._meet(first, other, time, policy, by_command)
                self._meet_hash([n for n in (first, other) if n in fresh], time, policy)
                fresh = [node for node in fresh if node not in (first, other)]
            if first not in self.suspects or by_command:
                break
        self._meet_hash(fresh, time, policy)

    def _meet_hash(self, fresh: Iterable[Node], time: int, policy: MergePolicyText) -> None:
        for node in fresh:
            for other in hashes(node, policy):
                if other in self.graph:
                    self._meet(node, other, time, policy, False)

    def forms_of(self, node: Node, policy: MergePolicyText) -> list[Node]:
        """All nodes that stand for this value: a phone's hashes are the phone, once it was seen."""
        names = ([one, *hashes(one, policy)] for one in self.graph if one[1:3] == ("phone", ""))
        return next(([one for one in each if one in self.graph] for each in names if node in each), [node])

    def _add(self, node: Node, time: int) -> None:
        self.graph.add_node(node)
        self.seen[node] = time

    def _meet(self, a: Node, b: Node, time: int, policy: MergePolicyText, by_command: bool) -> None:
        pair = frozenset((a, b))
        self.met.setdefault(pair, (a, b, time))
        a, b = sorted(pair, key=policy.rank)
        weak = [policy.of(node[1]) == "weak" for node in (a, b)]
        if by_command:
            self.held.discard(pair)
        elif {a, b} & self.suspects:
            if not self.graph.has_edge(a, b):
                self.refused.setdefault(pair, "unlinked" if pair in self.cut else "suspected")
                self.held |= {pair} - self.cut
            return
        if weak == [False, True] and a not in self.contested:
            self._login(a, b, time, policy, by_command)
        elif by_command:
            self.graph.add_edge(self.current.get(a, a), self.current.get(b, b))
        else:
            why = self._objection(a, b, policy)
            bridge = "" if why else self._bridge(a, b, policy)
            if not why and not bridge:
                self.graph.add_edge(a, b)
                return
            if bridge:
                why = bridge
                self.held.add(pair)
            elif self._under.get(pair) != policy and why not in ("unlinked", "contested"):
                self._claim(a, b, time, policy)
            self.refused.setdefault(pair, why)
            self._under[pair] = policy

    def _objection(self, a: Node, b: Node, policy: MergePolicyText) -> str:
        ours, theirs = self.person(a), self.person(b)
        if frozenset((a, b)) in self.cut:
            return "unlinked"
        if b in ours:
            return ""
        if {a, b} & self.contested:
            return "contested"
        odd = [node for node in (b, a) if policy.of(node[1]) != "exclusive"]
        shared = policy.of(a[1]) == "weak" and {a, b} & self.current.keys()
        if odd and (shared or (policy.knows(ours) and policy.knows(theirs))):
            return f"{odd[0][1]}: {policy.of(odd[0][1])}"
        return self._too_many(ours, theirs, policy)

    def _bridge(self, a: Node, b: Node, policy: MergePolicyText) -> str:
        """Two persons who are too large, or who contradict each other too often, to be joined by one link."""
        ours, theirs = self.person(a), self.person(b)
        if b in ours:
            return ""
        sizes = [len({node[:4] for node in side if policy.of(node[1]) != "weak"}) for side in (ours, theirs)]
        if policy.large and min(sizes) >= policy.large:
            return f"bridge: large {policy.large}"
        rivals = 0
        for kind, scope in {node[1:3] for node in ours} & {node[1:3] for node in theirs}:
            values = [{node[3] for node in side if node[1:3] == (kind, scope)} for side in (ours, theirs)]
            rivals += policy.of(kind) == "exclusive" and bool(values[0] - values[1]) and bool(values[1] - values[0])
        return f"bridge: rivals {policy.rivals}" if policy.rivals and rivals >= policy.rivals else ""

    def suspicious(self, node: Node, policy: MergePolicyText) -> bool:
        """Whether it, or the phone that it is, was seen with more others of one kind and issuer than allowed."""
        forms, first = set(self.forms_of(node, policy)), dict[Node, int]()
        for pair, (_, _, time) in self.met.items():
            if pair & forms and not pair & self.suspects and pair not in self.cut:
                for other in pair - forms:
                    first.setdefault(other, time)
        times: dict[tuple[str, str], list[int]] = {}
        for other, time in first.items():
            times.setdefault((other[1], other[2]), []).append(time)
        for (kind, _), seen in times.items():
            for of, most, within in policy.seen_on if policy.of(kind) == "weak" else policy.seen_with:
                near = max(sum(0 <= other - at < within for other in seen) for at in seen) if within else len(seen)
                if of == node[1] and near > most:
                    return True
        return False

    def _too_many(self, ours: set[Node], theirs: set[Node], policy: MergePolicyText) -> str:
        groups = sorted({node[1:3] for node in ours} & {node[1:3] for node in theirs})
        for kind, scope in groups:
            values: dict[str, list[int]] = {}
            for node in ours | theirs:
                if node[1:3] == (kind, scope):
                    values.setdefault(node[3], []).append(self.seen[node])
            times = [min(at) for at in values.values()]
            for of, most, within in policy.hold:
                near = max(sum(0 <= other - at < within for other in times) for at in times)
                if of == kind and (near if within else len(times)) > most:
                    return f"{kind}: {policy.limit(most, within)}"
        return ""

    def _claim(self, a: Node, b: Node, time: int, policy: MergePolicyText) -> None:
        if a[1] != b[1] and policy.knows({a}) and policy.knows({b}) and policy.knows(self.person(b) - {b}):
            self.contested.add(b)
            own = (*b, "contested")
            if own not in self.graph:
                self._add(own, time)
            self.current[b] = own
            others = {other for other in hashes(b, policy) if other in self.graph}
            self.contested |= others
            self.current |= dict.fromkeys(others, own)

    def _login(self, a: Node, device: Node, time: int, policy: MergePolicyText, by_command: bool) -> None:
        ours, theirs = self.person(a), self.person(device)
        goes_to, why = device, "unlinked" if frozenset((a, device)) in self.cut else ""
        fits = True
        if device not in ours:
            if device in self.current and not policy.knows(ours):
                fits, why = False, f"{device[1]}: weak"
            elif policy.knows(ours) and policy.knows(theirs):
                goes_to = (*device, self.hash(a))
        if goes_to not in ours and fits and not by_command:
            with self._tried(goes_to, time) as would_have:
                why = why or self._too_many(ours, would_have, policy)
        if why:
            self.refused.setdefault(frozenset((a, device)), why)
            return
        if goes_to not in self.graph:
            self._add(goes_to, time)
        self.graph.add_edge(a, goes_to)
        if goes_to != device or device in self.current:
            self.current[device] = goes_to

    @contextmanager
    def _tried(self, node: Node, time: int) -> Iterator[set[Node]]:
        """The person of a node, which may be one that will only be there if nothing speaks against it."""
        if node in self.graph:
            yield self.person(node)
        else:
            self.seen[node] = time
            yield {node}
            del self.seen[node]
