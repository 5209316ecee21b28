"""`siyu explain`: why something was sent to a person, or was not.

In: a trigger's id, or a rule and a person or an order. Out: one screen: the verdict, the events that counted and those
that did not, the decisions, the caps, the ways to the person, the sources. Never: a phone in full; a guess.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.text import Text

from streams.cli.arguments import add_json
from streams.cli.failure import Failure, Misuse
from streams.cli.identity import identity_of
from streams.cli.inforce import law, progress
from streams.cli.named import naming_of
from streams.cli.stored import Stored
from streams.cli.tables import print_json, shown
from streams.delivery.channels import Route
from streams.delivery.policy import DeliveryPolicy
from streams.explain.answers import answers, asks
from streams.explain.case import Case, Finding, Point
from streams.explain.journey import Moved, entered, of_match, steps
from streams.explain.matching import never_matched
from streams.explain.sending import Decided, KnownId, Sent, before, caps, decided, ways
from streams.rules.book import Compiled
from streams.settings import Settings

NAME = "explain"
HELP = "why something was sent to a person, or was not"
EXAMPLE = "siyu explain --rule unpaid-order-coupon --person phone:13916042758 --order 2026112000017"

_MARKS = {True: ("+", "green"), False: ("-", "red"), None: (" ", "")}
_COLOURS = {"sent": "green", "converted": "green", "waiting": "yellow", "deferred": "yellow"}


_ABOUT = ("rule", "version", "tenant", "one_id", "order", "trigger_id", "step", "run")


@dataclass(frozen=True, slots=True)
class Explained:
    """What is told: the verdict, then lines by section."""

    rule: str
    version: int
    tenant: str
    one_id: str
    order: str
    trigger_id: str
    finding: Finding
    sections: dict[str, Sequence[Point]] = field(default_factory=dict)
    step: str = ""
    run: str = ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which case."""
    parser.add_argument("trigger_id", metavar="TRIGGER_ID", nargs="?", default="", help="of a trigger or a decision")
    parser.add_argument("--rule", metavar="R", default="", help="the name of a rule")
    parser.add_argument("--person", metavar="ID", default="", help="kind:value, or kind@scope:value, of the person")
    parser.add_argument("--order", metavar="N", default="", help="the order_id; without --person, of whoever ordered")
    parser.add_argument("--tenant", default="", help="the brand (default: the only one of the settings)")
    add_json(parser)


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """0 when there is an answer, whatever it is."""
    explained = _explained(arguments, settings)
    if arguments.json:
        print_json(_plain(explained))
    else:
        _print(explained)
    return 0


def _explained(arguments: argparse.Namespace, settings: Settings) -> Explained:
    if arguments.trigger_id:
        if arguments.rule or arguments.person or arguments.order:
            raise Misuse("name a TRIGGER_ID, or --rule and --person, not both")
        found = Stored(settings, "").trigger(arguments.trigger_id)
        inquiry = _Inquiry(settings, found["tenant"], found["rule"], found["business_key"])
        one_id = inquiry.stored.today(found["node"], found["one_id"])
        return inquiry.about(one_id, lambda history: _same(history, found["cause"].split(",")[0]))
    if not arguments.rule or not (arguments.person or arguments.order):
        raise Misuse("name a TRIGGER_ID, or --rule with --person or --order")
    inquiry = _Inquiry(settings, _tenant(arguments.tenant, settings), arguments.rule, arguments.order)
    one_id = inquiry.person(arguments.person) if arguments.person else inquiry.stored.buyer(arguments.order)
    return inquiry.about(one_id, lambda history: _same(history, history[-1].cause[0]) if history else [])


def _same(history: Sequence[Decided], anchor: str) -> list[Decided]:
    return [one for one in history if one.cause[0] == anchor]


def _tenant(named: str, settings: Settings) -> str:
    there = settings.tenants
    if named and there and named not in there:
        raise Failure(f"tenant {named} is not among the tenants of the settings: {', '.join(there)}")
    if named or len(there) == 1:
        return named or there[0]
    raise Misuse(f"name the brand with --tenant: {', '.join(there)}" if there else "name the brand with --tenant")


class _Inquiry:
    """One rule of one tenant."""

    def __init__(self, settings: Settings, tenant: str, rule: str, order: str) -> None:
        self._settings = settings
        self._tenant = tenant
        self._order = order
        self.stored = Stored(settings, tenant)
        self._law = law(settings)
        self._compiled, self._since_ms = self._law.rule(tenant, rule)

    def person(self, text: str) -> str:
        """The one_id of this id. Raises Failure where nobody has it."""
        naming = naming_of(self._settings, self._tenant, lambda: self._law.merges.of(self._tenant))
        return naming.found(identity_of(text))[1]

    def about(self, one_id: str, chosen: Any) -> Explained:
        """The case of this person; `chosen` picks the decisions of one match out of all."""
        ids = self.stored.ids(one_id) if one_id else {}
        nodes = list(ids)
        rule = self._compiled.rule
        history = chosen(self.stored.decisions(rule.rule, nodes, self._order))
        policy = self._law.policies.of(self._tenant)
        case = self._case(nodes, policy)
        sends = self.stored.sends(nodes)
        path = of_match(self.stored.moves(rule.rule, nodes), history) if self._compiled.course is not None else []
        finding = decided(history, sends, case) if history else self._undecided(path, case)
        version = history[-1].rule_version if history else path[-1].version if path else rule.version
        order = self._order or (history[-1].business_key if history else "")
        at_ms = history[-1].decided_ms if history else case.now_ms
        sections = self._sections(_Known(ids.values(), sends, history), policy, case, at_ms)
        return Explained(
            rule.rule,
            version,
            self._tenant,
            one_id,
            order,
            trigger_id=history[-1].trigger_id if history else "",
            finding=finding,
            sections={"journey": steps(path, case), **sections},
            step=history[-1].step if history else path[-1].step if path else "",
            run=path[-1].run if path else "",
        )

    def _undecided(self, path: Sequence[Moved], case: Case) -> Finding:
        return entered(path, case) if path else never_matched(self._compiled, case)

    def _case(self, nodes: Sequence[str], policy: DeliveryPolicy) -> Case:
        happened = self.stored.happened(self._compiled, policy, nodes, self._order)
        now_ms, reached = progress(self._settings, self._tenant, self._law.sources, self._compiled.group)
        return Case(happened, self._order, self._since_ms, now_ms, reached, policy.at_home)

    def _sections(self, known: _Known, policy: DeliveryPolicy, case: Case, at_ms: int) -> dict[str, Sequence[Point]]:
        rule = self._compiled.rule
        routes = [Route(channel.channel, channel.to, channel.scope) for channel in rule.send.channels]
        names = [route.channel for route in routes]
        counted = before(known.sends, known.history, at_ms)
        return {
            "events": _events(known.history, case),
            "answers": answers(names, known.sends, at_ms, case) if asks(self._compiled) else [],
            f"caps, as of {case.at(at_ms)}": caps(policy, names, counted, at_ms, case),
            "ways to the person": list(ways(routes, list(known.ids), policy, at_ms, case)),
            "sources": list(_sources(self._compiled, case)),
        }


@dataclass(frozen=True, slots=True)
class _Known:
    """Of a person: their ids, all sends, the decisions of the match in question."""

    ids: Iterable[KnownId]
    sends: Sequence[Sent]
    history: Sequence[Decided]


def _events(history: Sequence[Decided], case: Case) -> list[Point]:
    """The events that stand in the cause of what was decided."""
    named = dict.fromkeys(event_id for one in history for event_id in one.cause if event_id)
    there = {one.event_id: one for one in case.happened}
    return [Point(True, case.told(there[event_id]) if event_id in there else f"event {event_id}") for event_id in named]


def _sources(compiled: Compiled, case: Case) -> Iterable[Point]:
    """Where the sources are that the rule waits for: the furthest, and the one that is furthest behind."""
    yield Point(None, f"the log is read to {case.at(case.now_ms)}")
    if case.progress:
        slowest = min(case.progress, key=lambda source: case.progress[source])
        time_ms = case.progress[slowest]
        where = f"read to {case.at(time_ms)}" if time_ms else "not heard of lately"
        yield Point(None, f"the slowest of {len(case.progress)} that it waits for is {slowest}: {where}")


def _plain(explained: Explained) -> dict[str, Any]:
    finding = explained.finding
    told = {name: getattr(explained, name) for name in _ABOUT}
    told |= {"state": finding.state, "headline": finding.headline, "points": [one._asdict() for one in finding.points]}
    sections = {title.partition(",")[0]: points for title, points in explained.sections.items()}
    return told | {title.replace(" ", "_"): [one._asdict() for one in points] for title, points in sections.items()}


def _print(explained: Explained) -> None:
    console = Console(file=sys.stdout, highlight=False, soft_wrap=True)
    finding = explained.finding
    state = finding.state.replace("_", " ")
    colour = _COLOURS.get(finding.state, "red")
    console.print(Text.assemble((state.upper(), f"bold {colour}"), "  ", (shown(finding.headline), "bold")))
    about = f"rule {explained.rule} version {explained.version}, tenant {explained.tenant}"
    about += f", person {explained.one_id or '(nobody)'}" + (f", order {explained.order}" if explained.order else "")
    console.print(Text(shown(about), "dim"))
    for title, points in {"why": finding.points, **explained.sections}.items():
        if points:
            console.print(Text(f"\n{title}", "bold"))
        for point in points:
            mark, style = _MARKS[point.holds]
            console.print(Text(f"  {mark} {shown(point.text)}", style))
