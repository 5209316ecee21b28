"""`siyu policy`: checks merge policies, and puts one in force.

In: policy files. Out: faults with their lines; a Control record on `control`. Never: a policy published that does not
lint.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from confluent_kafka import Producer

from streams.cli.arguments import add_action, add_json
from streams.cli.failure import Failure
from streams.cli.inforce import merge_policy
from streams.cli.linting import Fault, lint_policy
from streams.cli.rules import assert_known, print_faults, read_text, user
from streams.cli.tables import print_json
from streams.identity.policy import EVERY_TENANT, MergePolicy
from streams.settings import Settings
from streams.worker.clients import producer_config, registry_of
from streams.worker.control import await_control, journal_ends, publish_control

NAME = "policy"
HELP = "check merge policies, and put one in force"
EXAMPLE = "siyu policy apply deploy/policies/default.yaml --tenant siyu --wait"

_WAIT_S = 30.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`lint` and `apply`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    told = "say what is wrong with policy files"
    linting = add_action(actions, "lint", told, "siyu policy lint deploy/policies/default.yaml")
    linting.add_argument("files", metavar="FILE", nargs="+", type=Path)
    applying = add_action(actions, "apply", "lint a policy file, and publish it to `control`", EXAMPLE)
    applying.add_argument("files", metavar="FILE", nargs=1, type=Path)
    applying.add_argument("--tenant", default=EVERY_TENANT, help="the brand that it is for (default: *, all of them)")
    applying.add_argument("--who", default="", help="who applies it, for the record (default: the user)")
    waiting = f"wait until it stands in the journal, {_WAIT_S:.0f} s if no other time is given"
    applying.add_argument("--wait", metavar="SECONDS", nargs="?", type=float, const=_WAIT_S, help=waiting)
    for action in (linting, applying):
        add_json(action)


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """0 when all files are good (and published), else 1."""
    found = {path: _linted(path) for path in arguments.files}
    faulty = {path: faults for path, faults in found.items() if isinstance(faults, list)}
    for path, faults in faulty.items():
        print_faults(path, faults, arguments.json)
    if arguments.action == "apply":
        if faulty:
            raise Failure("nothing was applied, since the policy has faults")
        return _apply(arguments, settings, arguments.files[0])
    for path, policy in found.items():
        if isinstance(policy, MergePolicy):
            _tell(policy, f"{path}: policy {policy.name} version {policy.version} is good", arguments, file=str(path))
    return 1 if faulty else 0


def _linted(path: Path) -> MergePolicy | list[Fault]:
    text = read_text(path)
    return lint_policy(text) if isinstance(text, str) else text


def _apply(arguments: argparse.Namespace, settings: Settings, path: Path) -> int:
    tenant, text = arguments.tenant, path.read_text(encoding="utf-8")
    policy = lint_policy(text)
    assert isinstance(policy, MergePolicy)
    assert_known(tenant, settings)
    ends = journal_ends(settings) if arguments.wait is not None else {}
    producer, registry, who = Producer(producer_config(settings.kafka)), registry_of(settings), arguments.who or user()
    said = {"name": policy.name, "version": policy.version, "text": text, "tenant": tenant, "who": who}
    control_id = publish_control(producer, registry, kind="policy", **said)
    if arguments.wait is not None:
        await_control(settings, control_id, tenant, ends, arguments.wait)
        assert_in_force(policy, merge_policy(settings, tenant), tenant)
    stands = "stands in the journal" if arguments.wait is not None else "is published"
    sentence = f"policy {policy.name} version {policy.version} for {tenant} {stands} ({control_id})"
    _tell(policy, sentence, arguments, tenant=tenant, control_id=control_id)
    return 0


def assert_in_force(policy: MergePolicy, now: MergePolicy, tenant: str) -> None:
    """Raises Failure where another version stands: of the same name an older one is refused."""
    if policy.name == now.name and policy.version < now.version:
        raise Failure(f"policy {now.name} version {now.version} stays in force for {tenant}: {policy.version} is older")


def _tell(policy: MergePolicy, sentence: str, arguments: argparse.Namespace, **more: str) -> None:
    if arguments.json:
        print_json({**more, "policy": policy.name, "version": policy.version})
    else:
        print(sentence)
