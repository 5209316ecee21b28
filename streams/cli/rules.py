"""`siyu rules`: checks rule files, runs their examples, and puts them in force.

In: rule files. Out: faults with their lines; how examples went; Control records on `control`. Never: a rule published
that does not lint, or some of several when another does not.
"""

from __future__ import annotations

import argparse
import getpass
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from confluent_kafka import Producer

from streams.cli.arguments import add_action, add_json
from streams.cli.failure import Failure
from streams.cli.inforce import law
from streams.cli.linting import Fault, lint
from streams.cli.rulefiles import rule_files
from streams.cli.tables import print_json
from streams.rules.book import EVERY_TENANT, Book, Known
from streams.rules.spec import Rule
from streams.settings import Settings
from streams.worker.clients import producer_config, registry_of
from streams.worker.control import await_control, journal_ends, publish_control

NAME = "rules"
HELP = "check rule files, run their examples, and put them in force"
EXAMPLE = "siyu rules apply deploy/rules/unpaid-order-coupon.yaml --tenant siyu --wait"

_WAIT_S = 30.0


class Linted(NamedTuple):
    """A rule file that is good."""

    path: Path
    text: str
    rule: Rule


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`lint`, `test` and `apply`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    linting = add_action(actions, "lint", "say what is wrong with rule files", "siyu rules lint deploy/rules/*.yaml")
    testing = add_action(actions, "test", "run the examples in rule files", "siyu rules test deploy/rules/*.yaml")
    applying = add_action(actions, "apply", "lint rule files, and publish them to `control`", EXAMPLE)
    for action in (linting, testing, applying):
        action.add_argument("files", metavar="FILE", nargs="+", type=Path, help="a rule file, or a folder of such")
        add_json(action)
    applying.add_argument("--tenant", default=EVERY_TENANT, help="the brand that it is for (default: *, all of them)")
    applying.add_argument("--who", default="", help="who applies it, for the record (default: the user)")
    told = f"wait until it stands in the journal, {_WAIT_S:.0f} s if no other time is given"
    applying.add_argument("--wait", metavar="SECONDS", nargs="?", type=float, const=_WAIT_S, help=told)


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """0 when all files are good (and published), else 1."""
    known = Known(settings.sources, settings.triggers)
    files = rule_files(arguments.files)
    linted, faulty = _lint_all(files, known, arguments.json)
    if arguments.action == "lint":
        _tell(linted, arguments.json)
        return 1 if faulty else 0
    if arguments.action == "test":
        failed = sum([_test(one, known, arguments.json) for one in linted])
        return 1 if faulty or failed else 0
    if faulty:
        raise Failure(f"nothing was applied, since {faulty} of {len(files)} files have faults")
    return _apply(linted, arguments, settings)


def _lint_all(files: Sequence[Path], known: Known, as_json: bool) -> tuple[list[Linted], int]:
    """Good files, and the number of the others, whose faults are printed."""
    linted: list[Linted] = []
    names: dict[str, Path] = {}
    faulty = 0
    for path in files:
        found = _lint_file(path, known, names)
        if isinstance(found, Linted):
            linted.append(found)
            continue
        faulty += 1
        print_faults(path, found, as_json)
    return linted, faulty


def read_text(path: Path) -> str | list[Fault]:
    """The text of a file, or why there is none."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        return [Fault(1, f"can't be read: {error.strerror}")]
    except UnicodeDecodeError:
        return [Fault(1, "not UTF-8 text")]


def _lint_file(path: Path, known: Known, names: dict[str, Path]) -> Linted | list[Fault]:
    text = read_text(path)
    if isinstance(text, list):
        return text
    found = lint(text, known)
    if isinstance(found, list):
        return found
    name = found.rule.rule
    if names.setdefault(name, path) != path:
        return [Fault(1, f"rule {name} stands in {names[name]} too: one of the two would have no effect")]
    return Linted(path, text, found.rule)


def print_faults(path: Path, faults: list[Fault], as_json: bool) -> None:
    """Says what is wrong with a file."""
    for fault in faults:
        if as_json:
            print_json({"file": str(path), "line": fault.line, "fault": fault.sentence})
        else:
            print(f"{path}:{fault.line}: {fault.sentence}", file=sys.stderr)


def _tell(linted: list[Linted], as_json: bool) -> None:
    for path, _, rule in linted:
        if as_json:
            print_json({"file": str(path), "rule": rule.rule, "version": rule.version})
        else:
            print(f"{path}: rule {rule.rule} version {rule.version} is good")


def _test(linted: Linted, known: Known, as_json: bool) -> int:
    """Runs a file's examples and tells how each went; the number of those that went differently."""
    from streams.rehearsal import rehearse  # noqa: PLC0415

    found = rehearse(linted.text, known)
    for about, differences in found:
        if as_json:
            print_json({"file": str(linted.path), "example": about, "good": not differences, "told": differences})
            continue
        print(f"{linted.path}: {'FAILED' if differences else 'good'}: {about}")
        for difference in differences:
            print(f"    {difference}")
    if not found and not as_json:
        print(f"{linted.path}: no examples")
    return sum(bool(differences) for _, differences in found)


def _apply(linted: list[Linted], arguments: argparse.Namespace, settings: Settings) -> int:
    tenant = arguments.tenant
    assert_known(tenant, settings)
    ends = journal_ends(settings) if arguments.wait is not None else {}
    ids = _publish(linted, tenant, arguments.who or user(), settings)
    for control_id in ids if arguments.wait is not None else ():
        await_control(settings, control_id, tenant, ends, arguments.wait)
    if arguments.wait is not None:
        assert_in_force((rule for _, _, rule in linted), law(settings).book, tenant)
    for control_id, (_, _, rule) in zip(ids, linted, strict=True):
        _tell_applied(rule, tenant, control_id, arguments)
    return 0


def assert_in_force(rules: Iterable[Rule], book: Book, tenant: str) -> None:
    """Raises Failure where a newer version of one of them stands: an older one is refused."""
    for rule in rules:
        now = book.rule(tenant, rule.rule)
        if now is not None and rule.version < now.rule.version:
            newer = f"rule {rule.rule} version {now.rule.version} stays in force for {tenant}"
            raise Failure(f"{newer}: {rule.version} is older")


def assert_known(tenant: str, settings: Settings) -> None:
    """Raises Failure for a tenant that the settings do not name."""
    if tenant != EVERY_TENANT and tenant not in settings.tenants:
        raise Failure(
            f"tenant {tenant} is not among the tenants of the settings: {', '.join(settings.tenants) or 'none'}"
        )


def _publish(linted: list[Linted], tenant: str, who: str, settings: Settings) -> list[str]:
    producer = Producer(producer_config(settings.kafka))
    registry = registry_of(settings)
    return [
        publish_control(
            producer, registry, kind="rules", name=rule.rule, text=text, tenant=tenant, version=rule.version, who=who
        )
        for _, text, rule in linted
    ]


def _tell_applied(rule: Rule, tenant: str, control_id: str, arguments: argparse.Namespace) -> None:
    if arguments.json:
        applied = {"rule": rule.rule, "version": rule.version, "tenant": tenant, "control_id": control_id}
        print_json(applied | {"in_journal": arguments.wait is not None})
    else:
        stands = "stands in the journal" if arguments.wait is not None else "is published"
        print(f"rule {rule.rule} version {rule.version} for {tenant} {stands} ({control_id})")


def user() -> str:
    """Who runs this."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "siyu"
