"""Replays that are asked of the process that owns an embedded database, since no other can open it.

In: a span as JSON, from the query socket. Out: what the replay tells, line by line. Never: two at a time.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any

from sinks.sink import Database
from sinks.swap import SwapRefused
from streams.settings import Settings
from streams.worker.clients import BrokerUnavailable
from streams.worker.refill import NotReplayed
from streams.worker.replay import Span, plan, replay, told

_ENDS_WITHIN_S = 60.0


class Replays:
    """The command `replay` of the socket. `lock` is the one under which the sink writes."""

    def __init__(self, settings: Settings, live: Database, lock: threading.Lock) -> None:
        self._settings = settings
        self._live = live
        self._lock = lock
        self._one = threading.Lock()
        self._stopping = threading.Event()

    def __call__(self, argument: Any) -> Iterator[Mapping[str, Any]]:
        """Does it. Raises ValueError with a sentence, SinkUnavailable."""
        span, dry = _span(argument)
        if not self._one.acquire(blocking=False):
            raise ValueError("another replay is under way")
        try:
            yield from self._planned(span) if dry else self._replayed(span)
        except (NotReplayed, SwapRefused, BrokerUnavailable) as error:
            raise ValueError(str(error)) from error
        finally:
            self._one.release()

    def _planned(self, span: Span) -> Iterator[Mapping[str, Any]]:
        return (told(part) for part in plan(self._settings, self._live, span).parts)

    def _replayed(self, span: Span) -> Iterator[Mapping[str, Any]]:
        with closing(replay(self._settings, self._live, span, self._stopping, self._lock)) as events:
            yield from map(told, events)

    def close(self) -> None:
        """Ends the one that is under way, and the connection."""
        self._stopping.set()
        if self._one.acquire(timeout=_ENDS_WITHIN_S):
            self._live.close()


def request(span: Span, dry: bool) -> dict[str, Any]:
    """The span as it goes over the socket."""
    named = {"shards": list(span.shards), "from_offset": span.from_offset, "since_ms": span.since_ms}
    return {**named, "held": span.held, "dry": dry}


def _span(argument: Any) -> tuple[Span, bool]:
    try:
        dry = bool(argument.pop("dry"))
        return Span(shards=tuple(argument.pop("shards")), **argument), dry
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError("this replay was asked for by another version of siyu") from error
