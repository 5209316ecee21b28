"""`siyu identity`: an operator's word about who is who, sent through the log.

In: ids. Out: a command on `identity.commands`. Never: a change of state beside the log.
"""

from __future__ import annotations

import argparse
import re

from confluent_kafka import Producer

from schemas.records import BY_HASH, ID_KINDS, Identity
from streams.cli import held
from streams.cli.arguments import add_action, add_json
from streams.cli.failure import Failure, Misuse
from streams.cli.rules import user
from streams.cli.tables import print_json
from streams.ingest.identifiers import clean_one
from streams.settings import Settings
from streams.worker.clients import producer_config, registry_of
from streams.worker.control import publish_command

NAME = "identity"
HELP = "link or unlink two ids; list, release or reject what the breaker holds"
EXAMPLE = "siyu identity unlink uid:U1 phone:13912345678 --tenant siyu --why 'the number was given to somebody else'"

_HASH = re.compile(r"[0-9a-f]{32}\Z")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`link` and `unlink`, `held`, `release` and `reject`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    cutting = add_action(actions, "unlink", "cut the link of two ids, and keep them apart", EXAMPLE)
    told = "link two ids, whatever the limits of the policy say"
    example = "siyu identity link uid:U1 openid@wx1:o-1 --tenant siyu --why 'shown at the desk'"
    linking = add_action(actions, "link", told, example)
    listing = add_action(actions, "held", "list what the breaker holds", "siyu identity held --tenant siyu")
    listing.add_argument("--tenant", required=True, help="the brand")
    add_json(listing)
    told = "decide a held link, or all held links of a value, as if nothing had been held"
    example = "siyu identity release device_id:d-42 --tenant siyu --why 'one family, many accounts'"
    releasing = add_action(actions, "release", told, example)
    told = "cut a held link for good, or keep a value apart from everybody for good"
    example = "siyu identity reject 0f343b0931126a20f133d67c2b018a3b --tenant siyu --why 'the till of shop 12'"
    rejecting = add_action(actions, "reject", told, example)
    named = "kind:value, or kind@scope:value where the kind has an issuer"
    for action in (cutting, linking, releasing, rejecting):
        pair = action in (cutting, linking)
        action.add_argument("a", metavar="ID", help=named if pair else f"{named}; or the node that `held` tells")
        action.add_argument("b", metavar="ID", nargs=None if pair else "?", help="the other id")
        action.add_argument("--tenant", required=True, help="the brand")
        action.add_argument("--why", required=True, help="the reason, for the record")
        action.add_argument("--who", default="", help="who orders it, for the record (default: the user)")
        add_json(action)


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Sends it; 0 when the broker has it. `held` asks the database."""
    if arguments.action == "held":
        return held.run(arguments, settings)
    if arguments.tenant not in settings.tenants:
        raise Failure(f"tenant {arguments.tenant} is not among the tenants of the settings")
    command = {
        "tenant": arguments.tenant,
        "kind": arguments.action,
        "a": _named(arguments.a, arguments.action),
        "b": arguments.b and _named(arguments.b, arguments.action),
        "who": arguments.who or user(),
        "why": arguments.why,
    }
    sent = publish_command(Producer(producer_config(settings.kafka)), registry_of(settings), command)
    if arguments.json:
        print_json({"command_id": sent, "kind": arguments.action})
    else:
        print(f"{arguments.action} is published ({sent}); what came of it stands on identity.changes")
    return 0


def _named(text: str, action: str) -> Identity:
    """An id; where something held is meant it may be the hash of its node."""
    if action in ("release", "reject") and _HASH.match(text):
        return Identity(kind=BY_HASH, scope=None, value=text)
    return identity_of(text)


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
