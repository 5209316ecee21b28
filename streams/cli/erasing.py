"""`siyu identity erase`: a person is taken out of every table, by a command through the log, and that is shown.

In: an id. Out: how many rows each table has of the person, before and after; a command on `identity.commands`.
Never: a row removed by the command itself; success told while a row is left.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence

from confluent_kafka import Producer

from schemas.records import Identity
from sinks.erasing import BY_NODE
from sinks.statements import literal
from streams.cli.failure import Failure, Misuse
from streams.cli.identity import assert_told, identity_of
from streams.cli.named import Ask, asking
from streams.cli.person import Person
from streams.cli.persons import found
from streams.cli.rules import user
from streams.cli.tables import print_json, print_records
from streams.settings import Settings
from streams.worker.clients import producer_config, registry_of
from streams.worker.control import publish_command

_AGAIN_S = 0.5
_PHONE = "phone"
_MASKED = (_PHONE, "email")


def erase(arguments: argparse.Namespace, settings: Settings) -> int:
    """Erases, and waits until no table has a row left; with --dry-run only says what would go."""
    if not arguments.dry_run:
        assert_told(arguments.why)
    person, node = found(arguments.id, arguments, settings)
    ask, questions = asking(settings), _questions(asking(settings), person)
    before = _counts(ask, questions)
    if arguments.dry_run:
        _print(
            {name: {"table": name, "rows": rows} for name, rows in before.items()}, ("table", "rows"), arguments.json
        )
        _print_shared(person, arguments.json)
        return 0
    who = identity_of(arguments.id) if node else _plain(person)
    command = {"tenant": person.tenant, "kind": "erase", "a": who, "b": None, "why": arguments.why}
    command["who"] = arguments.who or user()
    sent = publish_command(Producer(producer_config(settings.kafka)), registry_of(settings), command)
    after = _await(ask, questions, f"command_id = {literal(sent)}", arguments.wait)
    rows = {name: {"table": name, "before": before[name], "after": after[name]} for name in questions}
    _print(rows, ("table", "before", "after"), arguments.json)
    if any(after.values()):
        raise Failure(
            f"it is published ({sent}), but after {arguments.wait:.0f} s rows are left: are engine and sink up?"
        )
    if not arguments.json:
        print(f"erased ({sent}): no table has a row of {person.one_id} or its ids")
    return 0


def _plain(person: Person) -> Identity:
    """An id that tables have in full."""
    for one in person.ids.values():
        if one.kind not in _MASKED:
            return Identity(kind=one.kind, scope=one.scope or None, value=one.value)
    raise Misuse("this person has phones and e-mails only: name it by one of them, not by its one_id")


def _questions(ask: Ask, person: Person) -> Mapping[str, str]:
    """For each table and column the question how many rows it has of these nodes, or of their triggers."""
    nodes, tenant = literal(tuple(person.ids)), literal(person.tenant)
    asked = {
        f"{table}.{column}": f"SELECT count() FROM siyu.{table} WHERE tenant = {tenant} AND {column} IN {nodes}"
        for table, column in BY_NODE
    }
    sent: set[str] = set()
    for table in ("triggers", "decisions"):
        sql = f"SELECT DISTINCT trigger_id FROM siyu.{table} WHERE tenant = {tenant} AND node IN {nodes}"
        sent |= {row[0] for row in ask(sql).rows}
    if sent:
        of = f"tenant = {tenant} AND trigger_id IN {literal(tuple(sorted(sent)))}"
        asked["deliveries.trigger_id"] = f"SELECT count() FROM siyu.deliveries WHERE {of}"
    return asked


def _counts(ask: Ask, questions: Mapping[str, str]) -> dict[str, int]:
    return {name: int(ask(sql).rows[0][0]) for name, sql in questions.items()}


def _await(ask: Ask, questions: Mapping[str, str], command: str, within_s: float) -> dict[str, int]:
    """The counts, as soon as the command is through and all are zero, or when the time is over."""
    gives_up = time.monotonic() + within_s
    while True:
        is_through = ask(f"SELECT count() FROM siyu.identity_erased WHERE {command}").rows[0][0]
        counts = _counts(ask, questions)
        if (is_through and not any(counts.values())) or time.monotonic() > gives_up:
            return counts
        time.sleep(_AGAIN_S)


def _print(rows: Mapping[str, Mapping[str, object]], columns: Sequence[str], as_json: bool) -> None:
    print_records(rows.values(), columns, as_json)


def _print_shared(person: Person, as_json: bool) -> None:
    """Ids that others have shown too: these stay with them."""
    for label in stays(person):
        if as_json:
            print_json({"stays": label})
        else:
            print(f"{label} stays with others, who have shown it too")


def stays(person: Person) -> list[str]:
    """The ids that others claim, and the hashes of the person's phones that others have."""
    pairs = [(change.a, change.b) for change in person.changes if change.kind in ("refused", "held") and change.b]
    claimed = {b for a, b in pairs if a not in person.ids and b in person.ids}
    hashes = {b for a, b in pairs if a in person.ids and b not in person.ids and _are_phones(person, a, b)}
    return sorted(person.label(node) for node in claimed | hashes)


def _are_phones(person: Person, *nodes: str) -> bool:
    known = {**person.others, **person.ids}
    return all(node in known and known[node].kind == _PHONE for node in nodes)
