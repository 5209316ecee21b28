"""Faults planted in our own code: for chosen events and timers it does its work, and then raises.

In: which. Out: a context in which it does so. Never: a fault that depends on anything but what the code was given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from unittest.mock import patch

from streams.compact.rows import Node
from streams.delivery.decide import Verdict
from streams.engage.journeys import Journeys
from streams.engage.match import Match
from streams.engage.sending import Sending
from streams.identity.commands import Commands
from streams.identity.nodes import Evidence
from streams.identity.persons import Persons
from streams.rules.book import Compiled


class Planted(RuntimeError):
    """Its text holds what must not get out."""


@contextmanager
def bad_events(is_bad: Callable[[str], bool]) -> Iterator[None]:
    """Resolving the ids of an event raises after it was done, for these event ids (and ids of commands)."""
    resolve = Persons.resolve

    def raising(self: Persons, nodes: Sequence[str], evidence: Evidence) -> Node:
        found = resolve(self, nodes, evidence)
        if is_bad(evidence.event_id):
            raise Planted(f"{nodes}")
        return found

    link = Commands.link

    def raising_link(self: Commands, tenant: str, a: str, b: str, evidence: Evidence) -> str:
        found = link(self, tenant, a, b, evidence)
        if is_bad(evidence.event_id):
            raise Planted(f"{a} {b}")
        return found

    with patch.object(Persons, "resolve", raising), patch.object(Commands, "link", raising_link):
        yield


def bad_timers(is_bad: Callable[[Sequence[str]], bool]) -> AbstractContextManager[None]:
    """Deciding about a delivery raises, for these nodes of the person."""
    return bad_decisions(lambda match: is_bad(match.nodes))


@contextmanager
def bad_decisions(is_bad: Callable[[Match], bool]) -> Iterator[None]:
    """Deciding about a delivery raises, for these matches."""
    decide = Sending.decide

    def raising(self: Sending, match: Match, compiled: Compiled) -> Verdict | None:
        if is_bad(match):
            raise Planted(f"{match.nodes}")
        return decide(self, match, compiled)

    with patch.object(Sending, "decide", raising):
        yield


@contextmanager
def bad_waits() -> Iterator[None]:
    """The end of a wait of any journey raises after it was done."""
    ripe = Journeys.ripe

    def raising(self: Journeys, key: str) -> None:
        ripe(self, key)
        raise Planted(key)

    with patch.object(Journeys, "ripe", raising):
        yield
