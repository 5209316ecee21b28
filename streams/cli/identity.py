"""`siyu identity`: an operator's word about who is who, sent through the log.

In: two ids. Out: a command on `identity.commands`. Never: a change of state beside the log.
"""

from __future__ import annotations

import argparse

from confluent_kafka import Producer

from schemas.records import ID_KINDS, Identity
from streams.cli.arguments import add_action, add_json
from streams.cli.failure import Failure, Misuse
from streams.cli.rules import user
from streams.cli.tables import print_json
from streams.ingest.identifiers import clean_one
from streams.settings import Settings
from streams.worker.clients import producer_config, registry_of
from streams.worker.control import publish_command

NAME = "identity"
HELP = "link or unlink two ids, by an operator's word"
EXAMPLE = "siyu identity unlink uid:U1 phone:13912345678 --tenant siyu --why 'the number was given to somebody else'"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`link` and `unlink`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    cutting = add_action(actions, "unlink", "cut the link of two ids, and keep them apart", EXAMPLE)
    told = "link two ids, whatever the limits of the policy say"
    example = "siyu identity link uid:U1 openid@wx1:o-1 --tenant siyu --why 'shown at the desk'"
    linking = add_action(actions, "link", told, example)
    for action in (cutting, linking):
        action.add_argument("a", metavar="ID", help="kind:value, or kind@scope:value where the kind has an issuer")
        action.add_argument("b", metavar="ID", help="the other id")
        action.add_argument("--tenant", required=True, help="the brand")
        action.add_argument("--why", required=True, help="the reason, for the record")
        action.add_argument("--who", default="", help="who orders it, for the record (default: the user)")
        add_json(action)


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Sends it; 0 when the broker has it."""
    if arguments.tenant not in settings.tenants:
        raise Failure(f"tenant {arguments.tenant} is not among the tenants of the settings")
    command = {
        "tenant": arguments.tenant,
        "kind": arguments.action,
        "a": identity_of(arguments.a),
        "b": identity_of(arguments.b),
        "who": arguments.who or user(),
        "why": arguments.why,
    }
    sent = publish_command(Producer(producer_config(settings.kafka)), registry_of(settings), command)
    if arguments.json:
        print_json({"command_id": sent, "kind": arguments.action})
    else:
        print(f"{arguments.action} is published ({sent}); what came of it stands on identity.changes")
    return 0


def identity_of(text: str) -> Identity:
    """The id that is written as kind:value or kind@scope:value; Misuse where it is none that names somebody."""
    left, colon, value = text.partition(":")
    kind, _, scope = left.partition("@")
    if not colon or kind not in ID_KINDS:
        raise Misuse(f"{left} is no kind of id; one is written kind:value, and kinds are {', '.join(ID_KINDS)}")
    cleaned = clean_one(kind, scope, value)
    if isinstance(cleaned, str):
        raise Misuse(f"{kind} is no usable id: {cleaned}")
    return Identity(kind=cleaned[0], scope=cleaned[1] or None, value=cleaned[2])
