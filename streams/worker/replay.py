"""The facts of a span of the log once more, into fresh tables that take the place of the live ones.

In: settings, a database, the span. Out: what is to be done, then how far it is, then what was done.
Never: a trigger or anything else sent; a live table changed before all fresh ones are whole.

A span begins at a journal offset and reaches to the end of the log. What lies before it is kept as it is, by whole
blocks. While this runs a sink may go on writing the live tables; after the swap it goes on where the fresh ones end.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import asdict, dataclass
from typing import Any

from sinks import ledger, rebuild
from sinks import swap as swapping
from sinks.migrations import runner
from sinks.rebuild import NotWhole, Rebuild
from sinks.sink import Database, SinkUnavailable
from sinks.turns import NotOurTurn, Turn, turn
from streams.settings import Settings
from streams.topics import JOURNAL, RESOLVED
from streams.worker.control import first_of, offsets_since
from streams.worker.refill import NotReplayed, Part, Plan, Progress, Refill
from streams.worker.shardlog import Held, NotHeld, held


@dataclass(frozen=True, slots=True)
class Span:
    """Which rows are made anew: of these shards (all where none is named), from an offset or a time on, else all.

    `since_ms` is when ingest wrote the journal's frame; `held` means as far back as the log goes.
    """

    shards: tuple[int, ...] = ()
    from_offset: int | None = None
    since_ms: int | None = None
    held: bool = False


@dataclass(frozen=True, slots=True)
class Swapped:
    """Done: rows by table that were written anew. `left`: what could not be tidied up, a sentence."""

    rows: Mapping[str, int]
    seconds: float
    left: str = ""


def plan(settings: Settings, live: Database, span: Span) -> Plan:
    """Looks, and changes nothing. Raises NotReplayed, BrokerUnavailable, SinkUnavailable."""
    _assert_migrated(live)
    resolved, journal = first_of(settings, RESOLVED), first_of(settings, JOURNAL)
    there = sorted({*resolved, *rebuild.shards(live)})
    if strangers := set(span.shards) - set(there):
        raise NotReplayed(f"there is no shard {min(strangers)}: there are {there[0]} to {there[-1]}")
    holds = {
        shard: held(settings, shard, resolved[shard], journal.get(shard, -1)) for shard in there if shard in resolved
    }
    since = offsets_since(settings, JOURNAL, span.since_ms) if span.since_ms is not None else {}
    try:
        parts = [_part(live, span, shard, holds.get(shard), since) for shard in there]
    except NotHeld as error:
        raise NotReplayed(f"{error}; --held replays what is held, and keeps older facts as they are") from error
    if span.from_offset is not None and all(part.live < span.from_offset for part in parts):
        ends = ", ".join(f"{part.live} of shard {part.shard}" for part in parts)
        raise NotReplayed(f"no facts are written as far as journal offset {span.from_offset}: they end at {ends}")
    return Plan(parts, holds, resolved)


def replay(
    settings: Settings,
    live: Database,
    span: Span,
    stopping: threading.Event,
    exclusively: AbstractContextManager[object] | None = None,
) -> Generator[Part | Progress | Swapped]:
    """Does it; closing the iterator, or `stopping`, ends it before the swap and leaves nothing behind.

    `exclusively` is entered for the swap. Raises NotReplayed, SwapRefused, BrokerUnavailable, SinkUnavailable.
    """
    _assert_migrated(live)
    try:
        with turn(live, "replay") as ours:
            yield from _replayed(settings, live, span, stopping, ours=ours, exclusively=exclusively)
    except NotOurTurn as error:
        raise NotReplayed(str(error)) from error


def _replayed(
    settings: Settings,
    live: Database,
    span: Span,
    stopping: threading.Event,
    *,
    ours: Turn,
    exclusively: AbstractContextManager[object] | None,
) -> Generator[Part | Progress | Swapped]:
    began = time.monotonic()
    swapping.finish(live)
    planned = plan(settings, live, span)
    yield from planned.parts
    swapping.clear(live)
    building = Rebuild(live)
    refill = Refill(settings, live, building, planned, stopping)
    swapped = False
    try:
        yield from refill.build()
        building.check()
        refill.patiently(ours.hold)
        swapped = True
        with exclusively or nullcontext():
            building.swap()
    except (ValueError, NotHeld, NotWhole) as error:
        if swapped:
            raise NotReplayed(f"the swap did not come to its end, start it again: {error}") from error
        raise NotReplayed(f"the live tables are as they were: {error}") from error
    finally:
        building.close()
        if not swapped:
            with suppress(SinkUnavailable, ValueError):
                building.abandon()
    yield Swapped(dict(refill.rows), time.monotonic() - began, _tidied(live))


def _assert_migrated(live: Database) -> None:
    if runner.plan(live):
        raise NotReplayed("migrations are pending: `siyu migrate apply`, or start a sink")


def told(event: Part | Progress | Swapped) -> dict[str, Any]:
    """The event as JSON has it, under its kind: part, progress or swapped."""
    return {type(event).__name__.lower(): asdict(event)}


def _part(live: Database, span: Span, shard: int, has: Held | None, since: Mapping[int, int]) -> Part:
    position = ledger.position(live, shard)
    start = position
    if has is not None and (not span.shards or shard in span.shards):
        wanted = min(position, _start(span, has, since.get(shard, -1), position))
        start = rebuild.whole_blocks(live, shard, wanted, upwards=span.held)
    kept = rebuild.kept_blocks(live, shard, start)
    return Part(shard, start, _source(has, start, position), kept, position)


def _source(has: Held | None, start: int, position: int) -> str:
    try:
        return "" if has is None else has.source(start)
    except NotHeld:
        if start < position:
            raise
        return ""  # nothing of it is to be read again


def _start(span: Span, has: Held, since: int, position: int) -> int:
    if span.from_offset is not None:
        return span.from_offset
    if span.since_ms is not None:
        return since if since >= 0 else position
    if span.held:
        return position if has.oldest is None else has.oldest
    return 0


def _tidied(live: Database) -> str:
    try:
        swapping.clear(live)
    except (SinkUnavailable, ValueError, swapping.SwapRefused) as error:
        return f"the old tables could not be dropped: {error}"
    return ""
