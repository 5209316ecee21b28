"""What goes to the sink says the same as what goes to the public, and as the journal."""

from __future__ import annotations

from typing import Any

from hypothesis import given

from schemas.masking import keyed_hash
from tests.support.frames import SALT, by_topic, fold, tables
from tests.support.lines import Event
from tests.support.oracle import Oracle
from tests.support.profiles import law
from tests.support.stories import Story, stories


def _fact(oracle: Oracle, at: int, event: Event) -> dict[str, Any]:
    """The event as a fact: the strongest id that it came with, and the person of that id as it was then."""
    nodes = oracle.nodes(at, event)
    return {
        "event_id": event.id,
        "tenant": event.tenant,
        "event_type": event.type,
        "event_time_ms": event.time,
        "received_ms": event.received,
        "order_id": event.order,
        "amount_fen": event.fen,
        "source": event.source.removeprefix("events.raw.").rpartition("/")[0],
        "node": keyed_hash("\x1f".join(nodes[0]), SALT) if nodes else "",
        "one_id": oracle.one_id(at, nodes[0]) if nodes else "",
    }


@law
@given(stories())
def test_every_accepted_event_is_a_fact_with_its_person_of_then(story: Story) -> None:
    _, outputs = fold(story.frames)
    oracle = Oracle(story.lines, SALT)
    wanted = [_fact(oracle, at, event) for at, event in oracle.accepted]
    got = tables(outputs).get("events", [])
    assert [{name: row[name] for name in want} for row, want in zip(got, wanted, strict=True)] == wanted


@law
@given(stories())
def test_every_decision_and_trigger_is_a_row_with_the_same_words(story: Story) -> None:
    _, outputs = fold(story.frames)
    topics, rows = by_topic(outputs), tables(outputs)
    for topic, table, time in (
        ("decisions", "decisions", "decided_time"),
        ("triggers.coupon", "triggers", "fired_time"),
    ):
        told = [record[3] for record in topics.get(topic, [])]
        kept = rows.get(table, [])
        names = ("trigger_id", "tenant", "rule", "rule_version", "one_id", "business_key")
        assert [[row[n] for n in names] for row in kept] == [[record[n] for n in names] for record in told]
        assert [row[f"{time}_ms"] for row in kept] == [record[time] for record in told]
        assert [row["cause"] for row in kept] == [",".join(record["cause"]) for record in told]


@law
@given(stories())
def test_no_phone_goes_to_the_sink_in_full(story: Story) -> None:
    _, outputs = fold(story.frames)
    whole = {"events", "deadletters_raw"}
    for name, rows in tables(outputs).items():
        for row in rows:
            assert name in whole or "+86139000" not in "".join(str(value) for value in row.values())


@law
@given(stories())
def test_every_row_of_a_frame_is_counted_once(story: Story) -> None:
    for output, frame in zip(fold(story.frames)[1], story.frames, strict=True):
        counted = (output.counts[name] for name in ("accepted", "duplicate", "repeated"))
        assert sum(counted) == frame.events.num_rows
