"""`siyu migrate`: brings the database's tables to what this program expects.

In: the database that settings name. Out: how each migration stands. Never: a way back.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from contextlib import closing
from typing import Any

from sinks.migrations import runner
from sinks.migrations.runner import Migration
from sinks.sink import Database
from sinks.urls import open_sink
from streams.cli.arguments import add_action, add_json
from streams.cli.failure import Failure
from streams.cli.tables import print_records
from streams.settings import Settings

NAME = "migrate"
HELP = "the database's tables: plan, apply, status"
EXAMPLE = "siyu migrate plan"

_COLUMNS = ("version", "name", "needs", "state")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`plan`, `apply` and `status`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, told in (
        ("plan", "what apply would do"),
        ("apply", "do what is pending"),
        ("status", "how each migration stands"),
    ):
        add_json(add_action(actions, name, told, f"siyu migrate {name}"))


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """0 when it could be done."""
    try:
        with closing(open_sink(settings.sink_url, settings.sink.password.get_secret_value())) as database:
            records = _ACTIONS[arguments.action](database)
    except ValueError as error:
        raise Failure(str(error)) from error
    if not records and not arguments.json:
        print("there is nothing to do")
        return 0
    print_records(records, _COLUMNS, arguments.json)
    return 0


def _status(database: Database) -> list[dict[str, Any]]:
    return [_record(step.migration, step.state.value) for step in runner.status(database)]


def _plan(database: Database) -> list[dict[str, Any]]:
    return _all(runner.plan(database), "pending")


def _apply(database: Database) -> list[dict[str, Any]]:
    return _all(runner.apply(database), "applied")


_ACTIONS = {"plan": _plan, "apply": _apply, "status": _status}


def _all(migrations: Iterable[Migration], state: str) -> list[dict[str, Any]]:
    return [_record(migration, state) for migration in migrations]


def _record(migration: Migration, state: str) -> dict[str, Any]:
    needs = ".".join(str(part) for part in migration.needs)
    return {"version": migration.version, "name": migration.name, "needs": needs, "state": state}
