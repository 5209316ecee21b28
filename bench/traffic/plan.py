"""Plans a run and plays it back: people, orders, truth, then events.

In: a `TrafficSpec`. Out: a `Traffic` that knows its truth and iterates over its events in order of receipt.
Never: reads a clock; two plans of one spec, and two iterations of one plan, are equal.
"""

import random
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from operator import attrgetter
from typing import Final

from bench.traffic.browsing import BUCKET_MS, Browsing, Stroll
from bench.traffic.faults import write_faults
from bench.traffic.ids import Mint
from bench.traffic.order_events import OrderWriter
from bench.traffic.orders import Order, OrderPlanner
from bench.traffic.outbox import Outbox, lag
from bench.traffic.people import plan_people
from bench.traffic.person import Person, Presence
from bench.traffic.presences import plan_presences
from bench.traffic.shelves import build_shelves
from bench.traffic.spec import (
    HEARTBEAT,
    HEARTBEAT_MS,
    HOUR,
    MINUTE,
    SECOND,
    SOURCES,
    TAIL_HEARTBEAT_MS,
    TAIL_MARGIN_MS,
    Sent,
    TrafficSpec,
    Truth,
    topic_of,
)
from bench.traffic.story import plan_story, write_story
from bench.traffic.truth import truth_of

_FAULT_SHARE: Final = 0.015
_LATE_OPENING_SHARE: Final = 0.05
_REPEATED_OPENING_SHARE: Final = 0.02
_received = attrgetter("received_ms")


@dataclass(frozen=True, slots=True)
class Traffic:
    """One planned run. Iterating generates the browsing on the way, in constant memory, always alike."""

    spec: TrafficSpec
    truth: Truth
    orders: list[Order]
    planned: list[Sent]
    browsing: Browsing

    @property
    def events(self) -> int:
        """How many records come beside heartbeats: accepted, duplicate and refused ones."""
        return self.truth.accepted + self.truth.duplicates + self.truth.refused.total()

    def __iter__(self) -> Iterator[Sent]:
        """All records in order of (received_ms, sequence); at one instant heartbeats come first."""
        last_ms = begin_ms = self.spec.start_ms
        stroll, done = Stroll(self.browsing), 0
        while stroll.busy or done < len(self.planned):
            end = bisect_left(self.planned, begin_ms + BUCKET_MS, key=_received)
            events = self.planned[done:end] + stroll.next_bucket()
            last_ms = max(map(_received, events), default=last_ms)
            yield from sorted([*self._heartbeats(begin_ms, begin_ms + BUCKET_MS), *events], key=_received)
            begin_ms, done = begin_ms + BUCKET_MS, end
        settled_ms = last_ms + self.spec.wait_ms + self.spec.expiry_ms + TAIL_MARGIN_MS
        yield from self._heartbeats(begin_ms, settled_ms + TAIL_HEARTBEAT_MS, TAIL_HEARTBEAT_MS)

    def _heartbeats(self, begin_ms: int, end_ms: int, step_ms: int = HEARTBEAT_MS) -> Iterator[Sent]:
        """One per topic and partition at each whole step since the start within [begin_ms, end_ms)."""
        first_ms = begin_ms + (self.spec.start_ms - begin_ms) % step_ms
        for at_ms in range(first_ms, end_ms, step_ms):
            for source in SOURCES:
                for partition in range(self.spec.partitions):
                    yield Sent(at_ms, topic_of(source), partition, None, HEARTBEAT)


def plan(spec: TrafficSpec) -> Traffic:
    """Plans people, then orders, then writes the events that the truth rests on; the rest is browsing."""
    mint = Mint(random.Random(f"{spec.seed}/ids"))
    people = _plan_people(spec, mint)
    orders = OrderPlanner(spec, people, random.Random(f"{spec.seed}/orders"), mint).plan()
    plan_story(spec, people[0], mint)
    outbox = Outbox(spec)
    presences = _write_openings(outbox, people)
    write_story(spec, outbox, people[0], presences)
    writer = OrderWriter(spec, outbox, random.Random(f"{spec.seed}/order events"))
    for order in orders:
        writer.write(order)
    wanted = int(spec.people * spec.events_per_person)
    write_faults(spec, outbox, presences, int(wanted * _FAULT_SHARE), random.Random(f"{spec.seed}/faults"))
    browsing = _browsing(spec, presences, wanted - len(outbox.sent))
    truth = truth_of(spec, people, orders, outbox, (browsing.count, browsing.duplicates))
    return Traffic(spec, truth, orders, sorted(outbox.sent, key=_received), browsing)


def _plan_people(spec: TrafficSpec, mint: Mint) -> list[Person]:
    """People and how they show up; the first stays blank, for the story."""
    rng = random.Random(f"{spec.seed}/people")
    people = plan_people(spec, rng, mint)
    for person in people[1:]:
        person.presences = plan_presences(spec, person, rng)
    return people


def _browsing(spec: TrafficSpec, presences: list[Presence], count: int) -> Browsing:
    """Fills up to the wanted volume, if anybody is there to browse."""
    shelf = build_shelves(spec, presences, random.Random(f"{spec.seed}/shelves"))
    return Browsing(spec, presences, shelf, max(0, count) if presences else 0)


def _write_openings(outbox: Outbox, people: list[Person]) -> list[Presence]:
    """The first event of each presence but the story's; returns these presences by time."""
    rng = random.Random(f"{outbox.spec.seed}/openings")
    presences = [presence for person in people[1:] for presence in person.presences]
    for who in presences:
        sent = outbox.accept(who, who.opening, who.from_ms, who.from_ms + _travel(who, rng))
        if rng.random() < _REPEATED_OPENING_SHARE:
            again_ms = sent.received_ms + rng.randrange(SECOND, 6 * HOUR)
            outbox.repeat(sent, again_ms, sent.partition + rng.randrange(2))
    return sorted(presences, key=attrgetter("from_ms"))


def _travel(who: Presence, rng: random.Random) -> int:
    """How long an opening travels; some take hours, but never a registration, since buyers are reached by it."""
    if who.opening == "register" or rng.random() > _LATE_OPENING_SHARE:
        return lag(rng)
    return rng.randrange(5 * MINUTE, 5 * HOUR)
