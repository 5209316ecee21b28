"""What semantics.md asks for, worked out slowly: everything again from the whole journal for each question.

In: the journal as one flat list of items. Out: clocks, persons, and when every order is ripe (see `chain`).
Never: code of `streams`; state; a short cut.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, product

import networkx as nx

from tests.support.lines import Applied, Commanded, Declared, Event, Id, Line, MergePolicyText, Ruled, RuleText, Told
from tests.support.people import USUAL, Node, People, hashes, is_blocked
from tests.support.rulings import Rulings

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
        self._people: dict[int, People] = {}
        self._rulings = Rulings(self)
        self._told: dict[tuple[int, str], dict[Node, Node]] = {}
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

    def behind(self, at: int, waits_for: tuple[str, ...], time: int) -> tuple[str, ...]:
        """The sources of this clock that are not known to be read past a time, by their short names."""
        if self.clock(at, waits_for) > time:
            return ()
        late = {source for source in self.members(at, waits_for) if self.progress(at, source) <= time}
        names = {source.rpartition("/")[0].removeprefix("events.raw.") for source in late}
        return tuple(sorted(names)) or ("*",)

    # Events and persons

    @cached_property
    def accepted(self) -> list[tuple[int, Event]]:
        """Each event that is not a repeat, with its position."""
        found: dict[tuple[str, str], tuple[int, Event]] = {}
        for at, line in enumerate(self.lines):
            if isinstance(line, Event):
                found.setdefault((line.tenant, line.id), (at, line))
        return sorted(found.values(), key=lambda pair: pair[0])

    @cached_property
    def _accepted_at(self) -> set[int]:
        return {position for position, _ in self.accepted}

    def cut(self, at: int) -> dict[frozenset[Node], int]:
        """Pairs whose last command up to a position is to unlink them, and where every command for them was void."""
        last: dict[frozenset[Node], tuple[str, int]] = {}
        for position, line in enumerate(self.lines[: at + 1]):
            if isinstance(line, Commanded) and line.kind in ("link", "unlink") and self.is_taken(position, line):
                last[self.pair(at, line)] = (line.kind, position)
        return {pair: position for pair, (kind, position) in last.items() if kind == "unlink" and len(pair) == 2}

    def is_taken(self, at: int, line: Commanded) -> bool:
        """Whether the command named two values that stood for somebody by the policy of then."""
        return len(self.pair(at, line)) == 2

    def kept_apart(self, at: int) -> frozenset[frozenset[Node]]:
        """Those pairs by all names of their values: a phone's hashes are the phone."""
        pairs = [[self.names(at, node) for node in pair] for pair in self.cut(at)]
        return frozenset(frozenset(pair) for names in pairs for pair in product(*names))

    def _voided(self, at: int, upto: int) -> bool:
        """Whether the link command at a position was undone later."""
        later = [(n, line) for n, line in enumerate(self.lines[: upto + 1]) if n > at and isinstance(line, Commanded)]
        link = self.lines[at]
        assert isinstance(link, Commanded)
        pair = self.pair(upto, link)
        cuts = [(n, line) for n, line in later if line.kind == "unlink" and self.is_taken(n, line)]
        return any(self.pair(upto, line) == pair for _, line in cuts)

    def pair(self, at: int, line: Commanded) -> frozenset[Node]:
        """The two ids of a command; a hash is the phone, whenever that is told of."""
        nobody, policy, told = People(self._salt), self.policy(at, line.tenant), self.told(at, line.tenant)
        given = [node for one in line.ids for node in nobody.usable(line.tenant, [one], policy, told)]
        return frozenset(self.names(at, node)[0] for node in given)

    def names(self, at: int, node: Node) -> list[Node]:
        """Every node that stands for this value, a plain phone before its hash."""
        policy = self.policy(at, node[0])
        phones: list[Node] = [(node[0], *one) for one in self._phones] if policy.shops else []
        names = ([phone, *hashes(phone, policy)] for phone in phones)
        return next((each for each in names if node in each), [node])

    def told(self, at: int, tenant: str) -> dict[Node, Node]:
        """The phones that hashes are of, as far as phones were shown: also such as are nobody for a pattern only.

        Of a phone that is blocked by name its hashes are too, and nothing is known of either.
        """
        if at < 0 or not self._has_patterns:
            return {}
        if (at, tenant) not in self._told:
            line, policy, found = self.lines[at], self.policy(at, tenant), self.told(at - 1, tenant)
            if isinstance(line, (Event, Commanded)) and line.tenant == tenant and self._shows(line, policy, found):
                phones = [(tenant, *one) for one in line.ids]
                found = found | {name: phone for phone in phones for name in hashes(phone, policy)}
            names = () if isinstance(line, Told) else found
            lost = {name for name in names if is_blocked(name, policy) and is_blocked(found[name], policy)}
            self._told[at, tenant] = {name: phone for name, phone in found.items() if name not in lost}
        return self._told[at, tenant]

    def _shows(self, line: Event | Commanded, policy: MergePolicyText, told: Mapping[Node, Node]) -> bool:
        """Whether the ids of this line are known from then on: of a link, if it is not refused."""
        if isinstance(line, Event):
            return True
        return line.kind == "link" and len(People(self._salt).usable(line.tenant, line.ids, policy, told)) > 1

    @cached_property
    def _has_patterns(self) -> bool:
        return any(line.policy.patterns for line in self.lines if isinstance(line, Ruled))

    @cached_property
    def _phones(self) -> list[Id]:
        """All plain phones of the journal."""
        told = (one for line in self.lines if isinstance(line, (Event, Commanded)) for one in line.ids)
        return sorted({one for one in told if one[:2] == ("phone", "")})

    def policy(self, at: int, tenant: str) -> MergePolicyText:
        """The merge policy that is in force for the tenant: its own, else everyone's, else the usual one."""
        said = [line for line in self.lines[: at + 1] if isinstance(line, Ruled)]
        own = [line.policy for line in said if line.tenant == tenant]
        return (own or [line.policy for line in said if line.tenant == "*"] or [USUAL])[-1]

    def people(self, at: int) -> People:
        """Everyone after this position, by all that was said up to there."""
        if at not in self._people:
            self._people[at] = self._with(at, self.suspects(at))
        return self._people[at]

    def _with(self, at: int, suspects: Iterable[Node]) -> People:
        """Everyone after this position, had these values been blocked from the start."""
        people, rulings = People(self._salt, self.kept_apart(at), frozenset(suspects)), self._rulings.upto(at)
        for position, line in enumerate(self.lines[: at + 1]):
            if isinstance(line, Event) and position in self._accepted_at:
                policy = self.policy(position, line.tenant)
                usable = people.usable(line.tenant, line.ids, policy, self.told(position, line.tenant))
                nodes = self._rulings.unblocked(usable, position, at)
                people.sight(nodes, line.time, rulings.get(position, policy))
            if isinstance(line, Commanded) and line.kind == "link":
                self._link(people, position, at, line, rulings.get(position))
        return people

    def suspects(self, at: int) -> list[Node]:
        """The values that were found out up to this position, in that order: once found, until they are blocked.

        A phone that was found out by its hash is found out by itself as soon as it is seen.
        """
        found: list[Node] = []
        before = People(self._salt)
        for position, line in enumerate(self.lines[: at + 1] if self._is_limited else ()):
            found = self._rulings.unblocked(found, position, position)
            if not isinstance(line, (Event, Commanded)) or not self._has_limits(position, line.tenant):
                before = self._with(position, found) if not isinstance(line, Told) else before
            else:
                after = self._with(position, found)
                policy, todo = self.policy(position, line.tenant), [*found, *_news(before, after)]
                while todo:
                    node = todo.pop(0)
                    forms = after.forms_of(node, policy)
                    new = [one for one in forms if one not in found]
                    if new and (new != forms or after.suspicious(node, policy)):
                        found += new
                        before, after = after, self._with(position, found)
                        todo += _news(before, after)
                before = after
        return found

    @cached_property
    def _is_limited(self) -> bool:
        return any(line.policy.seen_with or line.policy.seen_on for line in self.lines if isinstance(line, Ruled))

    def _has_limits(self, at: int, tenant: str) -> bool:
        policy = self.policy(at, tenant)
        return bool(policy.seen_with or policy.seen_on)

    def _link(self, people: People, at: int, upto: int, line: Commanded, ruling: MergePolicyText | None = None) -> None:
        policy = self.policy(at, line.tenant)
        nodes = people.usable(line.tenant, line.ids, policy, self.told(at, line.tenant))
        if len(nodes) < 2:
            return  # it is refused: it would link nobody
        nodes = self._rulings.unblocked(nodes, at, upto)
        for together in [[node] for node in nodes] if self._voided(at, upto) else [nodes]:
            people.sight(together, line.received, ruling or policy, by_command=True)

    def persons(self, at: int) -> list[set[Node]]:
        """Everyone after this position, as sets of ids."""
        return [set(component) for component in nx.connected_components(self.people(at).graph)]

    def one_id(self, at: int, node: Node) -> str:
        """The name of the one who has this id."""
        return self.people(at).one_id(node)

    def person(self, at: int, node: Node) -> set[Node]:
        """All ids of the one who has this id."""
        return self.people(at).person(node)

    def addresses(self, at: int, node: Node, at_hand: Sequence[Node]) -> list[Node]:
        """The ids under which that person can be reached, the newest first; a contested one only if it is at hand."""
        people = self.people(at)
        order = list(people.seen)
        reached = [one for one in people.person(node) if one in at_hand or one not in people.contested]
        reached = [one for one in reached if one not in people.suspects]
        return sorted(reached, key=order.index, reverse=True)

    def nodes(self, at: int, event: Event) -> list[Node]:
        """The ids of an event at this position that name somebody: the one it belongs to, then the others."""
        people, policy = self.people(at), self.policy(at, event.tenant)
        given = people.usable(event.tenant, event.ids, policy, self.told(at, event.tenant))
        first = people.goes_to(given, policy)
        return [first, *(node for node in given if node != first[:4])] if first is not None else []

    def nodes_then(self, event: Event) -> list[Node]:
        """The same as of when the event came: what was decided of it stays with these."""
        return self.nodes(self._places[event.tenant, event.id], event)

    @cached_property
    def _places(self) -> dict[tuple[str, str], int]:
        return {(event.tenant, event.id): at for at, event in self.accepted}

    # Rules and orders

    def rule(self, at: int, tenant: str, name: str) -> RuleText | None:
        """The rule of this name that is in force for the tenant: its own, else everyone's."""
        applied = [line for line in self.lines[: at + 1] if isinstance(line, Applied) and line.rule.name == name]
        own = _newest(line.rule for line in applied if line.tenant == tenant)
        return own or _newest(line.rule for line in applied if line.tenant == "*")


def _news(before: People, after: People) -> list[Node]:
    """The values of pairs that are new, or are known from earlier on, the weaker of each pair first."""
    pairs = [pair for pair, met in after.met.items() if before.met.get(pair) != met]
    return [node for pair in pairs for node in after.met[pair][1::-1]]


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
