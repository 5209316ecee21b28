"""What semantics.md asks for, worked out slowly: everything again from the whole journal for each question.

In: the journal as one flat list of items. Out: clocks, persons, and when every order is ripe (see `chain`).
Never: code of `streams`; state; a short cut.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from itertools import accumulate

import networkx as nx

from tests.support.lines import Applied, Commanded, Declared, Event, Id, Line, RuleText, Told

KINDS = (
    *("uid", "unionid", "external_userid", "phone", "email"),
    *("member_card", "marketplace_id", "openid", "device_id", "cookie"),
)
BLOCKED = {"", "0", "00000000", "000-000", "-1", "1", "null", "None", "'anonymous'", '"test"', "undefined"}

Node = tuple[str, str, str, str]


Seen = tuple[int, int]  # event time, position in the journal


def _steps(line: Line) -> list[Line]:
    """A row tells the clock, and then is taken: two positions."""
    return [line] if isinstance(line, Told) else [Told(tuple((name, 0, line.received) for name in line.read)), line]


class Oracle:
    """Answers about this journal; a position is a step of it, see `after`."""

    def __init__(self, journal: Sequence[Line], salt: bytes) -> None:
        self.lines = [step for line in journal for step in _steps(line)]
        self._ends = list(accumulate(len(_steps(line)) for line in journal))
        self._salt = salt
        self._clocks: dict[tuple[str, ...], list[int]] = {}

    def after(self, line: int) -> int:
        """The last position of this line of the journal."""
        return self._ends[line] - 1

    # The clock

    def progress(self, at: int, source: str) -> int:
        """How far the source is known to be read after this position; 0 before it was heard of."""
        heard = [0]
        for line in self.lines[: at + 1]:
            if isinstance(line, Told):
                heard += [time for told, missing, time in line.progress if told == source and missing <= 0]
        return max(heard)

    def members(self, at: int, waits_for: tuple[str, ...]) -> list[str]:
        """The sources that hold this clock after this position."""
        sets = [line.members for line in self.lines[: at + 1] if isinstance(line, Declared)]
        current = sets[-1] if sets else ()
        topics = [f"events.raw.{name}" for name in waits_for]
        return [source for source in current if not topics or source.rpartition("/")[0] in topics]

    def least(self, at: int, waits_for: tuple[str, ...]) -> int:
        """The least progress of those sources; 0 where there is none."""
        return min((self.progress(at, source) for source in self.members(at, waits_for)), default=0)

    def clock(self, at: int, waits_for: tuple[str, ...]) -> int:
        """The clock of those sources: never back."""
        if waits_for not in self._clocks:
            self._clocks[waits_for] = [self.least(n, waits_for) for n in range(len(self.lines))]
        return max(self._clocks[waits_for][: at + 1], default=0)

    def now(self, at: int) -> int:
        """The furthest progress of any source."""
        times = [0]
        for line in self.lines[: at + 1]:
            if isinstance(line, Told):
                times += [time for _, missing, time in line.progress if missing <= 0]
        return max(times)

    # Events and persons

    @cached_property
    def accepted(self) -> list[tuple[int, Event]]:
        """Each event that is not a repeat, with its position."""
        found: dict[tuple[str, str], tuple[int, Event]] = {}
        for at, line in enumerate(self.lines):
            if isinstance(line, Event):
                found.setdefault((line.tenant, line.id), (at, line))
        return sorted(found.values(), key=lambda pair: pair[0])

    def _together(self, at: int) -> Iterator[list[Node]]:
        """The usable ids of each accepted event and command up to a position, the strongest first."""
        accepted = {position for position, _ in self.accepted}
        for position, line in enumerate(self.lines[: at + 1]):
            if isinstance(line, Event) and position in accepted:
                yield usable(line.tenant, line.ids)
            if isinstance(line, Commanded) and len(usable(line.tenant, line.ids)) == 2:
                yield usable(line.tenant, line.ids)  # else it is refused: it would link nobody

    def persons(self, at: int) -> list[set[Node]]:
        """Everyone after this position, as sets of ids."""
        graph = nx.Graph()
        for nodes in self._together(at):
            graph.add_nodes_from(nodes)
            graph.add_edges_from((nodes[0], other) for other in nodes[1:])
        return [set(component) for component in nx.connected_components(graph)]

    def person(self, at: int, node: Node) -> set[Node]:
        """All ids of the one who has this id."""
        return next(person for person in self.persons(at) if node in person)

    def one_id(self, at: int, node: Node) -> str:
        """The name of that person: their first event's strongest id, hashed."""
        person = self.person(at, node)
        founding = next(nodes[0] for nodes in self._together(at) if nodes and nodes[0] in person)
        return blake2b("\x1f".join(founding).encode(), digest_size=16, key=self._salt).hexdigest()

    def first_seen(self, at: int, node: Node) -> tuple[int, int]:
        """Grows with the order in which ids were first seen."""
        return next((n, nodes.index(node)) for n, nodes in enumerate(self._together(at)) if node in nodes)

    # Rules and orders

    def rule(self, at: int, tenant: str, name: str) -> RuleText | None:
        """The rule of this name that is in force for the tenant: its own, else everyone's."""
        applied = [line for line in self.lines[: at + 1] if isinstance(line, Applied) and line.rule.name == name]
        own = _newest(line.rule for line in applied if line.tenant == tenant)
        return own or _newest(line.rule for line in applied if line.tenant == "*")


@dataclass(frozen=True)
class Order:
    """One order under one rule."""

    oracle: Oracle
    tenant: str
    name: str
    order: str

    def heard(self, at: int) -> Iterator[tuple[int, Event, RuleText]]:
        """Its events up to this position that came while the rule was in force, with the rule as it was then."""
        for position, event in self.oracle.accepted:
            rule = self.oracle.rule(position, self.tenant, self.name)
            if rule and position <= at and (event.tenant, event.order) == (self.tenant, self.order):
                yield position, event, rule

    def starts(self, at: int) -> list[Seen]:
        """Every A up to this position."""
        return [(e.time, n) for n, e, rule in self.heard(at) if e.type == rule.after and holds(rule, e)]

    def ends(self, at: int) -> list[Seen]:
        """Every B up to this position."""
        return [(e.time, n) for n, e, rule in self.heard(at) if e.type in rule.of]

    def due(self, at: int) -> int:
        """The first A by event time, and its T."""
        time, position = min(self.starts(at))
        return time + self.rule_at(position).within

    def rule_at(self, at: int) -> RuleText:
        """The rule in force after this position."""
        rule = self.oracle.rule(at, self.tenant, self.name)
        assert rule is not None
        return rule

    def event_at(self, at: int) -> Event:
        """The event at this position."""
        event = self.oracle.lines[at]
        assert isinstance(event, Event)
        return event

    def ripe(self, at: int) -> bool:
        """Whether there is an A and the clock has passed its deadline."""
        return bool(self.starts(at)) and self.oracle.clock(at, self.rule_at(at).waits_for) > self.due(at)


def _newest(rules: Iterable[RuleText]) -> RuleText | None:
    """The last of them, but an older version than the one in force is refused."""
    newest = None
    for rule in rules:
        newest = rule if newest is None or rule.version >= newest.version else newest
    return newest


def holds(rule: RuleText, event: Event) -> bool:
    """Whether the amount is large enough; an amount that is not there is not."""
    return rule.at_least is None or (event.fen is not None and event.fen >= rule.at_least)


def usable(tenant: str, ids: Iterable[Id]) -> list[Node]:
    """An event's ids that may name somebody, the strongest first."""
    nodes = {(tenant, *given) for given in ids if given[2] not in BLOCKED}
    return sorted(nodes, key=lambda node: (KINDS.index(node[1]), "\x1f".join(node)))
