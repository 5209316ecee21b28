"""`siyu deadletters`: what was refused, and why.

In: events.deadletter. Out: a list, the newest last. Never: a phone or an e-mail in full, unless the bytes are asked for
with --raw; an escape sequence that a producer sent.
"""

from __future__ import annotations

import argparse
import base64
import heapq
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from schemas.codec import decode_one
from schemas.masking import hidden
from schemas.registry import Registry, UnknownSchema
from streams.cli.arguments import add_action, add_json
from streams.cli.failure import Misuse
from streams.cli.tables import print_records
from streams.settings import Settings
from streams.topics import DEADLETTER
from streams.worker.clients import Record, read, registry_of
from streams.worker.control import first_offsets

NAME = "deadletters"
HELP = "what was refused, and why"
EXAMPLE = "siyu deadletters list --limit 20 --reason unknown_tenant"

_COLUMNS = ("time", "topic", "partition", "offset", "stage", "reason", "detail", "bytes")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`list`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = add_action(actions, "list", "the newest dead letters, the newest last", EXAMPLE)
    listing.add_argument("--limit", metavar="N", type=int, default=50, help="at most so many (default: 50)")
    listing.add_argument("--reason", metavar="R", help="only those that were refused for this reason")
    listing.add_argument(
        "--raw", action="store_true", help="with the refused bytes, as base64: they hold personal data"
    )
    add_json(listing)


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """0 when they could be read, whatever is in them."""
    if arguments.limit < 1:
        raise Misuse("--limit must be at least 1")
    unreadable: Counter[str] = Counter()
    letters = _letters(settings, unreadable)
    wanted = (one for one in letters if arguments.reason in (None, one["reason"]))
    newest = sorted(heapq.nlargest(arguments.limit, wanted, key=_order), key=_order)
    columns = (*_COLUMNS, "raw") if arguments.raw else _COLUMNS
    print_records((record_of(one, arguments.raw) for one in newest), columns, arguments.json)
    for reason, number in unreadable.items():
        print(f"{number} records of {DEADLETTER} could not be read: {reason}", file=sys.stderr)
    return 0


def _order(letter: Mapping[str, Any]) -> tuple[int, str, int, int]:
    return letter["time"], letter["topic"], letter["partition"], letter["offset"]


def _letters(settings: Settings, unreadable: Counter[str]) -> Iterator[dict[str, Any]]:
    registry = registry_of(settings)
    starts = {partition: start for (_, partition), start in first_offsets(settings, [DEADLETTER]).items()}
    return decoded(read(settings, DEADLETTER, starts), registry, unreadable)


def decoded(records: Iterable[Record], registry: Registry, unreadable: Counter[str]) -> Iterator[dict[str, Any]]:
    """The dead letters of these records; what is none is counted by why."""
    for record in records:
        try:
            yield decode_one(record.value, registry, "dead_letter")
        except (ValueError, UnknownSchema) as error:
            unreadable[str(error.args[0])] += 1


def record_of(letter: Mapping[str, Any], raw: bool) -> dict[str, Any]:
    """A dead letter as it is printed."""
    names = ("topic", "partition", "offset", "stage", "reason")
    time = datetime.fromtimestamp(letter["time"] / 1000, UTC).isoformat(timespec="milliseconds")
    shown = {"time": time, **{name: letter[name] for name in names}}
    shown |= {"detail": hidden(letter["detail"]), "bytes": len(letter["raw"])}
    return shown | {"raw": base64.b64encode(letter["raw"]).decode()} if raw else shown
