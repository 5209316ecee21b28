"""`siyu replay`: the facts once more from the log, into fresh tables that are then swapped in.

In: the span; the log and the database that settings name. Out: what is read from where, how far it is, what was done.
Never: a trigger or anything else sent; a live table touched before the fresh ones are whole.

An embedded database has one owner: where a sink runs, the sink does it when asked over the query socket.
"""

from __future__ import annotations

import argparse
import re
import threading
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import Any

from sinks.serve import command
from sinks.sink import Database
from sinks.swap import SwapRefused
from sinks.urls import open_sink
from streams.cli.arguments import add_json
from streams.cli.failure import Failure
from streams.cli.tables import print_json
from streams.settings import Settings
from streams.topics import RESOLVED
from streams.worker.asked import request
from streams.worker.refill import NotReplayed
from streams.worker.replay import Span, plan, replay, told

NAME = "replay"
HELP = "the facts once more from the log, into fresh tables, with nothing sent"
EXAMPLE = "siyu replay --since 24h --dry-run"

_UNITS = {"m": 60, "h": 3_600, "d": 86_400}
_TELL_EVERY_S = 2.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """From where on, of which shards."""
    start = parser.add_mutually_exclusive_group()
    from_then_on = "what came in from then on: 24h, 7d, or an ISO time; older facts are kept, by whole blocks"
    start.add_argument("--since", type=_moment, metavar="TIME", help=from_then_on)
    start.add_argument("--from-offset", type=_offset, metavar="N", help="the same, from this offset of the journal on")
    start.add_argument("--held", action="store_true", help="the same, as far back as the log is still held")
    parser.add_argument("--shard", metavar="N", type=int, nargs="+", default=[], help="only these (default: all)")
    parser.add_argument("--dry-run", action="store_true", help="say what it would do, and change nothing")
    add_json(parser)


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """0 when the fresh tables stand in the place of the old ones."""
    span = Span(tuple(arguments.shard), arguments.from_offset, arguments.since, arguments.held)
    screen = _Screen(arguments.json, arguments.dry_run)
    try:
        with _events(settings, span, arguments.dry_run) as events:
            for event in events:
                screen.show(event)
    except (NotReplayed, SwapRefused, ValueError) as error:
        raise Failure(str(error)) from error
    return 0


@contextmanager
def _events(settings: Settings, span: Span, dry: bool) -> Iterator[Iterator[Mapping[str, Any]]]:
    """What is told while it is done; where this block ends early, the replay does too."""
    if settings.sink_url.startswith("chdb:") and settings.query_socket.is_socket():
        asked = command(settings.query_socket, "replay", request(span, dry))
        with closing(asked) as events:
            yield events
        return
    with (
        closing(open_sink(settings.sink_url, settings.sink.password.get_secret_value())) as live,
        closing(_here(settings, live, span, dry)) as events,
    ):
        yield events


def _here(settings: Settings, live: Database, span: Span, dry: bool) -> Generator[Mapping[str, Any]]:
    """In this process."""
    if dry:
        yield from (told(part) for part in plan(settings, live, span).parts)
        return
    with closing(replay(settings, live, span, threading.Event())) as events:
        yield from map(told, events)


def _offset(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text} is no offset: a number from 0 on")
    return int(text)


def _moment(text: str) -> int:
    """Milliseconds since 1970 of a time that is over."""
    moment = _time(text)
    if moment > time.time() * 1000:
        raise argparse.ArgumentTypeError(f"{text} is still to come")
    return moment


def _time(text: str) -> int:
    """Milliseconds since 1970 of `24h`, of an ISO time (UTC where it says nothing), or of that number itself."""
    if back := re.fullmatch(r"(\d+)([mhd])", text):
        return int((time.time() - int(back[1]) * _UNITS[back[2]]) * 1000)
    if text.isdigit():
        return int(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        told_as = "24h, 7d, 2026-11-20T08:00, or milliseconds since 1970"
        raise argparse.ArgumentTypeError(f"{text} is no time: write {told_as}") from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


class _Screen:
    """Prints the events, as sentences or as they are."""

    def __init__(self, as_json: bool, dry: bool) -> None:
        self._as_json = as_json
        self._reads, self._keeps = ("would read", "would keep") if dry else ("reads", "keeps")
        self._next_s = 0.0

    def show(self, event: Mapping[str, Any]) -> None:
        """One event."""
        if self._as_json:
            print_json(event)
            return
        for kind, fields in event.items():
            sentence = getattr(self, f"_{kind}")(fields)
            if sentence:
                print(sentence, flush=True)

    def _part(self, part: Mapping[str, Any]) -> str:
        kept = f"{self._keeps} {part['kept']:,} blocks before it"
        if not part["source"]:
            return f"shard {part['shard']}: {self._keeps} everything, {part['kept']:,} blocks"
        how = "" if part["source"] == RESOLVED else ", folded again from its start"
        return (
            f"shard {part['shard']}: {self._reads} {part['source']} from journal offset {part['start']:,}{how}; {kept}"
        )

    def _progress(self, progress: Mapping[str, Any]) -> str:
        if time.monotonic() < self._next_s:
            return ""
        self._next_s = time.monotonic() + _TELL_EVERY_S
        return f"shard {progress['shard']} up to journal offset {progress['position']:,}; {progress['rows']:,} rows"

    def _swapped(self, swapped: Mapping[str, Any]) -> str:
        rows = sum(swapped["rows"].values())
        done = f"{rows:,} rows written anew and swapped in, in {swapped['seconds']:.1f} s; nothing was sent"
        return f"{done}\n{swapped['left']}" if swapped["left"] else done
