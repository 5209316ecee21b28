"""`siyu identity`: who is who, and an operator's word about it, sent through the log.

In: ids. Out: what is known of a person; a command on `identity.commands`. Never: a change of state beside the log.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any

from confluent_kafka import Producer

from schemas.masking import masked
from schemas.records import BY_HASH, ID_KINDS, Identity
from streams.cli import held
from streams.cli.arguments import add_action, add_json, add_tenant, tenant_of
from streams.cli.failure import Misuse
from streams.cli.rules import user
from streams.cli.tables import print_json
from streams.ingest.identifiers import clean_one
from streams.settings import Settings
from streams.worker.clients import producer_config, registry_of
from streams.worker.control import publish_command

NAME = "identity"
HELP = "who is who: show a person, explain, link, unlink, erase; what the breaker holds"
EXAMPLE = "siyu identity unlink uid:U1 phone:13916042758 --tenant siyu --why 'the number was given to somebody else'"
_SHOW = "siyu identity show phone:13916042758 --tenant siyu --svg person.svg"
_ERASE = "siyu identity erase phone:13916042758 --tenant siyu --dry-run"
_EXPLAIN = "siyu identity explain openid@wx1:o-1 phone:13916042758 --tenant siyu"

_HASH = re.compile(r"[0-9a-f]{32}\Z")
_UNUSABLE = {
    "empty": "nothing stands after the colon",
    "invalid_value": "it has more than 256 characters, or a control character",
    "no_scope": "it needs its issuer, as {kind}@ISSUER:value",
    "invalid_phone": "it is no phone number in full, nor phone@SCHEME:hash",
    "invalid_email": "it is no e-mail address in full",
}
"""By the reason why ingest would set it aside."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The actions."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    _add_questions(actions)
    cutting = add_action(actions, "unlink", "cut the link of two ids, and keep them apart", EXAMPLE)
    told = "link two ids, whatever the limits of the policy say"
    example = "siyu identity link uid:U1 openid@wx1:o-1 --tenant siyu --why 'shown at the desk'"
    linking = add_action(actions, "link", told, example)
    listing = add_action(actions, "held", "list what the breaker holds", "siyu identity held --tenant siyu")
    add_tenant(listing)
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
        other = "the other id" if pair else "the other id of a held link; none for a value"
        action.add_argument("b", metavar="ID", nargs=None if pair else "?", help=other)
        add_tenant(action)
        action.add_argument("--why", required=True, help="the reason, for the record")
        action.add_argument("--who", default="", help="who orders it, for the record (default: the user)")
        add_json(action)


def _add_questions(actions: Any) -> None:
    showing = add_action(actions, "show", "one person: ids, when and where seen, links, what else", _SHOW)
    showing.add_argument("id", metavar="ID", help="a one_id, or an id as kind:value or kind@scope:value")
    showing.add_argument("--svg", metavar="FILE", type=Path, help="draw the ids and their links too")
    explaining = add_action(actions, "explain", "why two ids are one person, and the weakest link of that", _EXPLAIN)
    explaining.add_argument("a", metavar="ID", help="an id as kind:value or kind@scope:value")
    explaining.add_argument("b", metavar="ID", help="the other id")
    erasing = add_action(actions, "erase", "take a person out of every store and table", _ERASE)
    erasing.add_argument("id", metavar="ID", help="an id of the person as kind:value, or its one_id")
    erasing.add_argument("--dry-run", action="store_true", help="only say what would go")
    erasing.add_argument("--why", default="", help="the reason, for the record; needed unless with --dry-run")
    erasing.add_argument("--who", default="", help="who orders it, for the record (default: the user)")
    waiting = "how long to wait until all is gone (default: 60)"
    erasing.add_argument("--wait", metavar="SECONDS", type=float, default=60.0, help=waiting)
    for action in (showing, explaining, erasing):
        add_tenant(action)
        add_json(action)


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Answers a question, or sends a command; 0 when the broker has it."""
    if arguments.action == "erase":
        from streams.cli import erasing  # noqa: PLC0415

        return erasing.erase(arguments, settings)
    if arguments.action == "held":
        return held.run(arguments, settings)
    if arguments.action in ("show", "explain"):
        from streams.cli import persons  # noqa: PLC0415 loads networkx

        return getattr(persons, arguments.action)(arguments, settings)  # type: ignore[no-any-return]
    a = _named(arguments.a, arguments.action)
    b = None if arguments.b is None else _named(arguments.b, arguments.action)
    assert_two(a, b)
    assert_told(arguments.why)
    command = {
        "tenant": tenant_of(arguments, settings),
        "kind": arguments.action,
        "a": a,
        "b": b,
        "who": arguments.who or user(),
        "why": arguments.why,
    }
    sent = publish_command(Producer(producer_config(settings.kafka)), registry_of(settings), command)
    if arguments.json:
        print_json({"command_id": sent, "kind": arguments.action})
    else:
        print(f"{arguments.action} is published ({sent}); what came of it stands on identity.changes")
        print("one that can't be carried out is in `siyu deadletters list`, with the reason")
    return 0


def assert_two(a: Identity, b: Identity | None) -> None:
    """Raises Misuse where one id is named twice, in whatever form."""
    if a == b:
        raise Misuse(f"{a['kind']} {masked(a['kind'], a['value'])} is named twice: name two ids")


def assert_told(why: str) -> None:
    """Raises Misuse where an order comes without a reason."""
    if not why.strip():
        raise Misuse("--why is needed: the reason, for the record")


def _named(text: str, action: str) -> Identity:
    """An id; where something held is meant it may be the hash of its node."""
    if action in ("release", "reject") and _HASH.match(text):
        return Identity(kind=BY_HASH, scope=None, value=text)
    return identity_of(text)


def identity_of(text: str) -> Identity:
    """The id that is written as kind:value or kind@scope:value; Misuse where it is none that names somebody."""
    left, colon, value = text.partition(":")
    kind, _, scope = left.partition("@")
    if not colon:
        raise Misuse(f"{text or 'nothing'} is no id; one is written kind:value, and kinds are {', '.join(ID_KINDS)}")
    if kind not in ID_KINDS:
        raise Misuse(f"{left} is no kind of id; one is written kind:value, and kinds are {', '.join(ID_KINDS)}")
    cleaned = clean_one(kind, scope, value)
    if isinstance(cleaned, str):
        raise Misuse(f"{kind} is no usable id: {_UNUSABLE[cleaned].format(kind=kind)}")
    return Identity(kind=cleaned[0], scope=cleaned[1] or None, value=cleaned[2])
