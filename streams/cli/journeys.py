"""`siyu journeys`: who is inside which journey and where each stands, from the facts.

In: a tenant, a journey, a person. Out: runs, or counts by step. Never: a change; the engine's own state.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping

from sinks.statements import render
from streams.cli.arguments import add_action, add_json
from streams.cli.failure import Failure
from streams.cli.query import answer_of
from streams.cli.tables import print_records
from streams.settings import Settings

NAME = "journeys"
HELP = "who is inside a journey, and where each stands"
EXAMPLE = "siyu journeys show --tenant lumi_tea --rule newcomer-gift --step remind"

_RUNS = (
    "SELECT rule, rule_version, run, one_id, step, why, entered_ms, since_ms FROM siyu.journey_now"
    " WHERE {} ORDER BY rule, since_ms, run LIMIT %(limit)s"
)
_STEPS = (
    "SELECT tenant, rule, rule_version, step, persons, first_since_ms FROM siyu.journey_steps"
    " WHERE {} ORDER BY tenant, rule, rule_version, step LIMIT %(limit)s"
)
_PATH = (
    "SELECT rule, rule_version, run, step, why, since_ms, moved_time_ms FROM siyu.journey_moves"
    " WHERE {} AND (tenant, run) IN (SELECT tenant, run FROM siyu.journey_now WHERE {}) ORDER BY seq LIMIT %(limit)s"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`steps`, `show` and `path`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    steps = add_action(actions, "steps", "count who stands where", "siyu journeys steps --tenant lumi_tea")
    show = add_action(actions, "show", "list runs and where each stands", EXAMPLE)
    path = add_action(actions, "path", "list each step of a person's runs", "siyu journeys path --person 61f0c404…")
    for action in (steps, show, path):
        action.add_argument("--tenant", help="only of this brand")
        action.add_argument("--rule", help="only of this journey")
        action.add_argument("--limit", type=int, default=1_000, help="at most so many lines (default: 1000)")
        add_json(action)
    for action in (show, path):
        action.add_argument("--person", metavar="ONE_ID", help="only of this person, as they are today")
    show.add_argument("--step", help="only who stands at this step")
    show.add_argument("--left", action="store_true", help="also who has left, and why")


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """0 when there is an answer."""
    sql, parameters = _question(arguments)
    try:
        answer = answer_of(render(sql, parameters), settings)
    except ValueError as error:
        raise Failure(str(error)) from error
    records = (dict(zip(answer.columns, row, strict=True)) for row in answer.rows)
    print_records(records, answer.columns, arguments.json)
    return 0


def _question(arguments: argparse.Namespace) -> tuple[str, Mapping[str, object]]:
    named = {name: getattr(arguments, name, None) for name in ("tenant", "rule", "person", "step")}
    given = {name: value for name, value in named.items() if value is not None}
    conditions = list(_conditions(given))
    if arguments.action == "show" and not arguments.left:
        conditions.append("step != ''")
    chosen = " AND ".join(conditions) or "1 = 1"
    plain = " AND ".join(_conditions({n: v for n, v in given.items() if n != "person"})) or "1 = 1"
    sql = {"steps": _STEPS.format(chosen), "show": _RUNS.format(chosen), "path": _PATH.format(plain, chosen)}
    return sql[arguments.action], given | {"limit": arguments.limit}


def _conditions(given: Mapping[str, object]) -> Iterator[str]:
    columns = {"person": "one_id"}
    return (f"{columns.get(name, name)} = %({name})s" for name in given)
