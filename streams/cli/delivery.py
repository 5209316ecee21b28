"""`siyu delivery`: checks delivery policies, and puts one in force.

In: policy files. Out: faults with their lines; a Control record on `control`. Never: a policy published that does not
lint.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from confluent_kafka import Producer

from streams.cli.arguments import add_action, add_json
from streams.cli.failure import Failure
from streams.cli.linting import Fault, lint_delivery
from streams.cli.tables import print_json
from streams.delivery.policies import EVERY_TENANT
from streams.delivery.policy import DeliveryPolicy
from streams.settings import Settings
from streams.worker.clients import producer_config, registry_of
from streams.worker.control import await_control, journal_ends, publish_control

NAME = "delivery"
HELP = "check delivery policies, and put one in force"
EXAMPLE = "siyu delivery apply deploy/policies/delivery.yaml --tenant siyu --wait"

_WAIT_S = 30.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`lint` and `apply`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    told = "say what is wrong with a policy file"
    linting = add_action(actions, "lint", told, "siyu delivery lint deploy/policies/delivery.yaml")
    applying = add_action(actions, "apply", "lint a policy file, and publish it to `control`", EXAMPLE)
    for action in (linting, applying):
        action.add_argument("file", metavar="FILE", type=Path)
        add_json(action)
    applying.add_argument("--tenant", default=EVERY_TENANT, help="the brand that it is for (default: *, all of them)")
    applying.add_argument("--who", default="siyu", help="who applies it, for the record (default: siyu)")
    waiting = f"wait until it stands in the journal, {_WAIT_S:.0f} s if no other time is given"
    applying.add_argument("--wait", metavar="SECONDS", nargs="?", type=float, const=_WAIT_S, help=waiting)


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """0 when the file is good (and published), else 1."""
    try:
        text = arguments.file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Failure(f"{arguments.file} can't be read: {error}") from error
    policy = lint_delivery(text)
    if isinstance(policy, list):
        _tell_faults(policy, arguments)
        return 1
    if arguments.action == "lint":
        _tell(
            policy, f"{arguments.file}: delivery policy {policy.delivery} version {policy.version} is good", arguments
        )
        return 0
    return _apply(policy, text, arguments, settings)


def _tell_faults(faults: list[Fault], arguments: argparse.Namespace) -> None:
    for line, sentence in faults:
        if arguments.json:
            print_json({"file": str(arguments.file), "line": line, "fault": sentence})
        else:
            print(f"{arguments.file}:{line}: {sentence}", file=sys.stderr)


def _apply(policy: DeliveryPolicy, text: str, arguments: argparse.Namespace, settings: Settings) -> int:
    tenant = arguments.tenant
    if tenant != EVERY_TENANT and tenant not in settings.tenants:
        there = ", ".join(settings.tenants) or "none"
        raise Failure(f"tenant {tenant} is not among the tenants of the settings: {there}")
    ends = journal_ends(settings) if arguments.wait is not None else {}
    producer, registry = Producer(producer_config(settings.kafka)), registry_of(settings)
    said = {"name": policy.delivery, "text": text, "tenant": tenant, "who": arguments.who}
    control_id = publish_control(producer, registry, kind="delivery", version=policy.version, **said)
    if arguments.wait is not None:
        await_control(settings, control_id, tenant, ends, arguments.wait)
    stands = "stands in the journal" if arguments.wait is not None else "is published"
    sentence = f"delivery policy {policy.delivery} version {policy.version} for {tenant} {stands} ({control_id})"
    _tell(policy, sentence, arguments, tenant=tenant, control_id=control_id)
    return 0


def _tell(policy: DeliveryPolicy, sentence: str, arguments: argparse.Namespace, **more: str) -> None:
    if arguments.json:
        print_json({"delivery": policy.delivery, "version": policy.version, **more})
    else:
        print(sentence)
