"""Who is inside which journey, and at which step: one run for each entry, which belongs to the id that entered.

In: runs as they begin, go on and end. Out: the runs of a set of nodes, counts by step. Never: where a run goes next.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass
from typing import Any

from streams.engage.match import SEPARATOR, Match
from streams.journal.tables import Tables
from streams.rules.book import Compiled


@dataclass(frozen=True, slots=True)
class Run:
    """One entry into version `version` of `owner`'s journey, by match `number`, whose cause and ids it has.

    At `step` since `since_ms`, until `due_ms` if it waits for a time; `path`: each step gone through and what came of
    it. `held`: fields of the event that began it. `sent`: the rules of the messages that it sent.
    """

    tenant: str
    rule: str
    cause: str
    owner: str
    version: int
    number: int
    nodes: tuple[str, ...]
    anchor_ms: int
    entered_ms: int
    business_key: str
    events: tuple[str, ...]
    held: tuple[tuple[str, Any], ...]
    step: str = ""
    since_ms: int = 0
    due_ms: int = 0
    path: tuple[tuple[str, str], ...] = ()
    sent: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """Its row and its timer."""
        return SEPARATOR.join((self.tenant, f"{self.rule}/", self.cause))

    @property
    def at(self) -> str:
        """The step with its version: what it waits for is noted under this name."""
        return f"{self.step}/{self.version}/{self.owner}"

    @property
    def entry(self) -> Match:
        """The match that began it."""
        ids = (self.tenant, self.rule, self.cause, self.business_key, self.nodes)
        return Match(*ids, self.anchor_ms, self.entered_ms, self.events, number=self.number)

    @property
    def messages(self) -> list[str]:
        """The keys of the matches that it sent."""
        return [SEPARATOR.join((self.tenant, rule, self.cause)) for rule in self.sent]

    def message(self, compiled: Compiled) -> Match:
        """The match that its step sends, under the step's own rule."""
        ids = (self.tenant, compiled.rule.rule, self.cause, self.business_key, self.nodes)
        return Match(*ids, self.anchor_ms, self.since_ms, self.events, number=self.number)


def begun(match: Match, compiled: Compiled) -> Run:
    """The run that this match begins."""
    return Run(
        tenant=match.tenant,
        rule=match.rule,
        cause=match.cause,
        owner=compiled.owner,
        version=compiled.rule.version,
        number=match.number,
        nodes=match.nodes,
        anchor_ms=match.anchor_ms,
        entered_ms=match.due_ms,
        business_key=match.business_key,
        events=match.events,
        held=match.held,
    )


def key_of(match: Match) -> str:
    """The key of the run that a step's match belongs to."""
    return SEPARATOR.join((match.tenant, f"{match.name}/", match.cause))


class Runs:
    """Table `runs`: tenant␟journey/␟cause → run. Who has which, and how many, is told from it."""

    def __init__(self, tables: Tables) -> None:
        self._rows = tables.table("runs")
        self._of: dict[str, dict[str, None]] = {}
        self._inside: Counter[tuple[str, str]] = Counter()
        self._under: Counter[tuple[str, str, int]] = Counter()
        self.standing: Counter[tuple[str, str]] = Counter()
        """How many are where, by journey and step."""
        for key in self._rows:
            self._count(self._run(key), 1)

    def _run(self, key: str) -> Run:
        tenant, rule, cause = key.split(SEPARATOR, 2)
        return Run(tenant, rule[:-1], cause, *self._rows[key])

    def get(self, key: str) -> Run | None:
        """The run of this key, if it is not over."""
        return self._run(key) if key in self._rows else None

    def put(self, run: Run) -> None:
        """Keeps a run as it is now."""
        before = self.get(run.key)
        if before is not None:
            self._count(before, -1)
        self._rows.put(run.key, astuple(run)[3:])
        self._count(run, 1)

    def drop(self, run: Run) -> None:
        """A run is over."""
        before = self.get(run.key)
        if before is not None:
            self._count(before, -1)
            self._rows.drop(run.key)

    def of(self, nodes: Iterable[str]) -> list[Run]:
        """The runs of these nodes, in the order in which they entered."""
        if not self._rows:
            return []
        found = [self._run(key) for node in nodes for key in self._of.get(node, ())]
        return sorted(found, key=lambda run: run.number)

    def named(self, name: str) -> list[Run]:
        """All runs of the journeys of this name, in the order in which they entered."""
        keys = [key for key in self._rows if key.split(SEPARATOR, 2)[1] == f"{name}/"]
        return sorted((self._run(key) for key in keys), key=lambda run: run.number)

    def all(self) -> list[Run]:
        """Every run."""
        return [self._run(key) for key in self._rows]

    def inside(self, tenant: str, rule: str) -> int:
        """How many are inside."""
        return self._inside[tenant, rule]

    def under(self, owner: str, rule: str, version: int) -> bool:
        """Whether somebody is inside this version."""
        return self._under[owner, rule, version] > 0

    def __len__(self) -> int:
        return len(self._rows)

    def row(self, key: str) -> Mapping[str, Any] | None:
        """A run for people who look for a fault."""
        run = self.get(key)
        return None if run is None else {"journey": run.rule, "version": run.version, "step": run.step}

    def _count(self, run: Run, by: int) -> None:
        self._inside[run.tenant, run.rule] += by
        self._under[run.owner, run.rule, run.version] += by
        self.standing[run.rule, run.step] += by
        mine = self._of.setdefault(run.nodes[0], {})
        if by > 0:
            mine[run.key] = None
        else:
            mine.pop(run.key, None)
            if not mine:
                del self._of[run.nodes[0]]
