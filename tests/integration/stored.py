"""How much has come to the database."""

from __future__ import annotations

from contextlib import suppress

from sinks.sink import SinkUnavailable
from streams.cli.query import answer_of
from streams.settings import Settings


def stored(settings: Settings) -> tuple[int, int]:
    """Events and decisions; none before the sink has made its tables."""
    counts = "SELECT (SELECT count() FROM siyu.events), (SELECT count() FROM siyu.decisions)"
    with suppress(SinkUnavailable, ValueError):
        events, decisions = answer_of(counts, settings).rows[0]
        return events, decisions
    return 0, 0
