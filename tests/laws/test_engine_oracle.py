"""The engine says what a slow and independent reading of the semantics says."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import fastavro
import pytest
from hypothesis import given

from streams.engine import Engine, person_sets
from tests.support.answerers import answering
from tests.support.chain import Chain
from tests.support.contract import written_and_read
from tests.support.frames import SALT, fold, public
from tests.support.history import Outcome
from tests.support.journals import frames_of
from tests.support.lines import Commanded, Event, Line
from tests.support.oracle import Oracle
from tests.support.profiles import law
from tests.support.stories import Story, campaigns, stories


def _records(outputs: Iterable[Any], subject: str) -> list[dict[str, Any]]:
    return [record for _, _, of, record in public(outputs) if of == subject]


def _decision(outcome: Outcome) -> dict[str, Any]:
    return {
        "trigger_id": outcome.trigger_id,
        "tenant": outcome.key[0],
        "rule": outcome.rule.name,
        "rule_version": outcome.rule.version,
        "step": f"fallback-{outcome.attempt}" if outcome.attempt else "",
        "one_id": outcome.one_id,
        "business_key": outcome.key[2],
        "verdict": outcome.verdict,
        "reason": outcome.reason,
        "arm": outcome.arm,
        "due_time": outcome.due,
        "decided_time": outcome.clock,
        "defer_until": outcome.until,
        "cause": list(outcome.cause),
        "late_sources": list(outcome.late),
    }


def _trigger(outcome: Outcome) -> dict[str, Any]:
    shared = _decision(outcome)
    for name in ("verdict", "reason", "decided_time", "defer_until"):
        del shared[name]
    kind, scope, value = outcome.recipient
    return shared | {
        "fired_time": outcome.clock,
        "channel": outcome.channel,
        "recipient": {"kind": kind, "scope": scope or None, "value": value},
        "content": {"template": "t"},
        "expires_time": outcome.due + outcome.rule.expires,
    }


def _revocation(outcome: Outcome) -> dict[str, Any]:
    shared = _decision(outcome)
    names = ("trigger_id", "tenant", "rule", "one_id", "business_key", "reason", "cause")
    return {name: shared[name] for name in names} | {"revoked_time": outcome.clock}


@law
@given(stories(untrue=True))
def test_decisions_are_those_of_the_oracle(story: Story) -> None:
    _, outputs = fold(story.frames)
    assert _records(outputs, "decision") == [_decision(each) for each in _outcomes(story)]


@law
@given(campaigns(untrue=True))
def test_decisions_under_policies_are_those_of_the_oracle(story: Story) -> None:
    _, outputs = fold(story.frames)
    assert _records(outputs, "decision") == [_decision(each) for each in _outcomes(story)]


def _outcomes(story: Story) -> list[Outcome]:
    return Chain(Oracle(story.lines, SALT)).outcomes()


@law
@given(stories() | campaigns())
def test_triggers_and_revocations_are_those_of_the_oracle(story: Story) -> None:
    _, outputs = fold(story.frames)
    outcomes = _outcomes(story)
    assert _records(outputs, "trigger") == [_trigger(each) for each in outcomes if each.verdict == "sent"]
    assert _records(outputs, "trigger_revoked") == [_revocation(each) for each in outcomes if each.verdict == "revoked"]


@law
@given(stories())
def test_persons_are_the_connected_components_of_their_ids(story: Story) -> None:
    engine, _ = fold(story.frames)
    oracle = Oracle(story.lines, SALT)
    last = oracle.after(len(story.lines) - 1)
    persons = {oracle.one_id(last, min(person)): _joined(person) for person in oracle.persons(last)}
    assert person_sets(engine) == persons


def _joined(person: Iterable[tuple[str, ...]]) -> frozenset[str]:
    return frozenset("\x1f".join(node) for node in person)


@law
@given(stories(untrue=True))
def test_every_clock_is_the_least_progress_of_its_members_at_every_line(story: Story) -> None:
    engine, _ = fold([])
    oracle = Oracle(story.lines, SALT)
    for at, frame in enumerate(frames_of(story.lines)[: len(story.lines)]):
        engine.step(at, frame)
        assert engine.clock.now == oracle.now(oracle.after(at))
        assert _clocks(engine) == {
            group: oracle.clock(oracle.after(at), _waits_for(group)) for group in _clocks(engine)
        }


def _clocks(engine: Engine) -> dict[str, int]:
    return {group: engine.clock.of(group) for group in ("", *engine.book.groups())}


def _waits_for(group: str) -> tuple[str, ...]:
    return tuple(topic.removeprefix("events.raw.") for topic in group.split(",") if topic)


@law
@given(stories() | campaigns())
def test_trigger_ids_name_one_order_under_one_rule_and_are_sent_once(story: Story) -> None:
    _, outputs = fold(story.frames)
    sent = [record["trigger_id"] for record in _records(outputs, "trigger")]
    causes = {
        (record["trigger_id"], record["tenant"], record["rule"], record["step"], record["business_key"])
        for record in _records(outputs, "decision")
    }
    assert len(set(sent)) == len(sent)
    assert len({cause[0] for cause in causes}) == len({cause[1:] for cause in causes}) == len(causes)


@law
@given(stories() | campaigns())
def test_public_records_fit_their_avro_schemas(story: Story) -> None:
    _, outputs = fold(story.frames)
    for _, _, subject, record in public(outputs):
        assert written_and_read(subject, record) == record


def test_a_record_with_a_field_too_many_does_not_fit() -> None:
    with pytest.raises((ValueError, fastavro.validation.ValidationError)):
        written_and_read("trigger_revoked", {"trigger_id": "x"})


@law
@given(campaigns())
def test_decisions_with_links_cut_between_are_those_of_the_oracle(story: Story) -> None:
    lines = tuple(map(_cutting, story.lines))
    _, outputs = fold(frames_of(lines))
    assert _records(outputs, "decision") == [_decision(each) for each in Chain(Oracle(lines, SALT)).outcomes()]


@law
@given(answering())
def test_best_channels_and_hours_are_those_of_the_oracle(lines: tuple[Line, ...]) -> None:
    _, outputs = fold(frames_of(lines))
    outcomes = Chain(Oracle(lines, SALT)).outcomes()
    assert _records(outputs, "decision") == [_decision(each) for each in outcomes]
    assert _records(outputs, "trigger") == [_trigger(each) for each in outcomes if each.verdict == "sent"]


def _cutting(line: Line) -> Line:
    """Without shared devices, and with every other command as one to unlink."""
    if isinstance(line, Commanded):
        return replace(line, kind="unlink" if int(line.id[1:]) % 2 else "link")
    if isinstance(line, Event):
        return replace(line, ids=tuple(one for one in line.ids if one[0] != "device_id"))
    return line
