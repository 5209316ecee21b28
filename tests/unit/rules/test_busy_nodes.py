"""What a machine does in one customer's name neither grows without end, nor matches what a person's would not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pytest
import yaml

from streams.engine import Engine
from tests.support.frames import APP, CONTROL, ORDERS, Ev, Journal, Said, fold, sources
from tests.support.journals import rules

BASE, SECOND, MOST = 1_700_000_000_000, 1_000, 50
BUSY = (("openid", "wx", "o1"),)
SEND = {"topic": "triggers.message", "expires_after": "1d", "channels": [{"channel": "mini", "to": "openid"}]}
KINDS = {
    "count": {"count": {"of": "a", "at_least": 3, "within": "10s"}},
    "sum": {"sum": {"of": "a", "value": "amount_fen", "at_least": 15, "within": "10s"}},
    "distinct": {"distinct": {"of": "a", "value": "order_id", "at_least": 3, "within": "10s"}},
    "threshold": {"threshold": {"of": ["a", "low"], "value": "amount_fen", "at_least": 5}},
}


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if only so many counted."""
    for room in ("histories", "awaited"):
        monkeypatch.setattr(f"streams.engage.{room}.MOST", MOST)


def folded(when: object, events: Iterable[Ev]) -> tuple[Engine, list[int]]:
    """The engine after these events, and when what it matched was due, in seconds."""
    text = yaml.safe_dump({"rule": "busy", "version": 1, "when": when, "send": SEND})
    journal = Journal().lane(
        (ORDERS, APP, CONTROL), [Said(0, "control", sources(ORDERS)), Said(0, "control", rules("*", text))]
    )
    engine, outputs = fold(journal.lane((ORDERS,), list(events)).frames)
    records = [one.record for output in outputs for one in output.public if one.subject == "trigger"]
    return engine, [(record["due_time"] - BASE) // SECOND for record in records]


def every_second(since: int, until: int) -> Sequence[Ev]:
    return [
        Ev(BASE + at * SECOND, "a", BUSY, f"order-{at}", BASE + at * SECOND, 5, f"e{at:06}")
        for at in range(since, until)
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_a_value_that_stays_there_matches_once_however_much_of_it_is_forgotten(kind: str) -> None:
    low = Ev(BASE + 2_000 * SECOND, "low", BUSY, None, BASE + 2_000 * SECOND, 1, "low")
    events = [*every_second(0, 3 * MOST), low, *every_second(2_100, 2_100 + 2 * MOST)]
    engine, matched = folded(KINDS[kind], events)
    assert matched == ([0, 2_100] if kind == "threshold" else [2, 2_102])
    (row,) = engine.tables.table("histories").values()
    assert len(row[1]) <= MOST


def test_a_count_that_needs_more_keeps_more() -> None:
    _, matched = folded({"count": {"of": "a", "at_least": 90, "within": "1d"}}, every_second(0, 3 * MOST))
    assert matched == [89]


def test_what_a_journey_waits_for_is_kept_of_the_newest_only() -> None:
    when = {"event": {"of": "enter"}}
    steps = [{"step": "claim", "wait_for": {"of": "a", "within": "1d"}}]
    text = yaml.safe_dump({"rule": "trip", "version": 1, "when": when, "send": SEND, "journey": {"steps": steps}})
    said = [Said(0, "control", sources(ORDERS)), Said(0, "control", rules("*", text))]
    journal = Journal().lane((ORDERS, APP, CONTROL), said).lane((ORDERS,), list(every_second(0, 2 * MOST)))
    engine, _ = fold(journal.frames)
    (row,) = engine.tables.table("awaited").values()
    assert [entry[0] for entry in row[1]] == [BASE + at * SECOND for at in range(MOST, 2 * MOST)]
