"""`siyu identity show` and `explain`: who a person is, and why two ids are one person, from the database.

In: a one_id or ids. Out: tables or JSON lines; a drawing. Never: a change; a phone in full; the broker, unless a phone
is known by no plain number.
"""

from __future__ import annotations

import argparse
import re
from typing import Any

from streams.cli.arguments import tenant_of
from streams.cli.drawing import drawn
from streams.cli.failure import Failure, Misuse
from streams.cli.identity import assert_two, identity_of
from streams.cli.inforce import merge_policy
from streams.cli.named import Naming, asking, naming_of
from streams.cli.person import Person, apart, as_records, change_record, counted, moment, read_person
from streams.cli.tables import print_json, print_records
from streams.identity.explain import Chain, Step
from streams.settings import Settings

_ONE_ID = re.compile(r"[0-9a-f]{32}")
_IDS = ("id", "first_seen", "last_seen", "events", "touchpoints")
_CHANGES = ("time", "what", "a", "b", "event_id", "reason")


def found(text: str, arguments: argparse.Namespace, settings: Settings) -> tuple[Person, str]:
    """The person of a one_id or id, and the node of the id, "" for a one_id. Raises Failure."""
    ask, tenant, naming = asking(settings), tenant_of(arguments, settings), _naming(arguments, settings)
    if _ONE_ID.fullmatch(text):
        return read_person(ask, tenant, naming.today(text)), ""
    node, one_id = naming.found(identity_of(text))
    return read_person(ask, tenant, one_id), node


def _naming(arguments: argparse.Namespace, settings: Settings) -> Naming:
    tenant = tenant_of(arguments, settings)
    return naming_of(settings, tenant, lambda: merge_policy(settings, tenant))


def show(arguments: argparse.Namespace, settings: Settings) -> int:
    """Prints one person; draws them too with --svg."""
    person, _ = found(arguments.id, arguments, settings)
    records = as_records(person)
    if arguments.json:
        for record in records:
            print_json(record)
    else:
        _print(person, records)
    if arguments.svg is not None:
        arguments.svg.write_text(drawn(person), encoding="utf-8")
    return 0


def _print(person: Person, records: list[dict[str, Any]]) -> None:
    print(f"{person.title}\n")
    ids = ({**one, "touchpoints": ", ".join(one["touchpoints"])} for one in records if one["what"] == "id")
    print_records(ids, _IDS, as_json=False)
    links = [one for one in records if one["what"] == "linked"]
    if links:
        print("\nlinks, each with the event that showed it")
        print_records(links, ("time", "a", "b", "event_id", "touchpoint"), as_json=False)
    held = [one for one in records if one["what"] == "held"]
    if held:
        print("\nheld: these wait for `siyu identity release` or `reject`; without b, all links of the value do")
        print_records(held, ("time", "a", "b", "event_id", "reason"), as_json=False)
    others = [one for one in records if one["what"] not in ("person", "id", "linked", "held")]
    if others:
        print("\nwhat else became known")
        print_records(others, _CHANGES, as_json=False)


def explain(arguments: argparse.Namespace, settings: Settings) -> int:
    """Prints why two ids are one person, or what is known of the two where they are not."""
    if _ONE_ID.fullmatch(arguments.a) or _ONE_ID.fullmatch(arguments.b):
        raise Misuse("explain takes two ids, each written kind:value")
    assert_two(identity_of(arguments.a), identity_of(arguments.b))
    person, a = found(arguments.a, arguments, settings)
    other, b = found(arguments.b, arguments, settings)
    if person.one_id != other.one_id:
        _print_apart(person, other, as_json=arguments.json)
        naming = _naming(arguments, settings)
        _print_part(person, a, naming.part_of(identity_of(arguments.b), person.ids), as_json=arguments.json)
        _print_part(other, b, naming.part_of(identity_of(arguments.a), other.ids), as_json=arguments.json)
        return 0
    chain = person.chain(a, b)
    if chain is None:
        raise Failure("no link in the database holds the two together")
    if not arguments.json:
        print(f"both are of {person.one_id}, by {counted(len(chain.steps), 'link')}\n")
    _print_chain(person, chain, as_json=arguments.json)
    return 0


def _print_apart(person: Person, other: Person, *, as_json: bool) -> None:
    """They are two persons: what was seen of the two together, or of both with a third, and why it joined them not."""
    records = [change_record(change, one) for one, change in apart(person, other)]
    if as_json:
        print_json({"what": "apart", "one_ids": [person.one_id, other.one_id]})
    else:
        print(f"they are two persons, {person.one_id} and {other.one_id}\n")
    if records or as_json:
        print_records(records, _CHANGES, as_json)
    else:
        print("no pair of their ids, nor of both with a third, was refused, held or cut")


def _print_part(person: Person, a: str, part: str, *, as_json: bool) -> None:
    """Of a value that several used: why a part of its events is this person's."""
    chain = person.chain(a, part) if part and part != a else None
    if chain is None:
        return
    if as_json:
        print_json({"what": "part", "one_id": person.one_id, "id": person.label(part), "node": part})
    else:
        print(f"\n{person.label(part)} was used by several: of its events a part is of {person.one_id}\n")
    _print_chain(person, chain, as_json=as_json)


def _print_chain(person: Person, chain: Chain, *, as_json: bool) -> None:
    steps = [_step(person, step, weakest=step == chain.weakest) for step in chain.steps]
    print_records(steps, ("a", "b", "event_id", "time", "touchpoint", "weakest"), as_json)


def _step(person: Person, step: Step, *, weakest: bool) -> dict[str, Any]:
    return {
        "a": person.label(step.a),
        "b": person.label(step.b),
        "event_id": step.link.event_id,
        "time": moment(step.link.event_time_ms),
        "touchpoint": person.places.get(step.link.event_id, ""),
        "weakest": "weakest" if weakest else "",
    }
