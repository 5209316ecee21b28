"""`siyu explain` of journeys on a running pipeline: two persons inside turn out to be one while their runs wait."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from pydantic import SecretStr

from schemas.codec import encode
from schemas.registry import LocalRegistry
from streams.cli.main import main
from streams.cli.query import answer_of
from streams.settings import Ingest, Kafka, Settings, Sink, to_environment
from streams.topics import HEARTBEAT, RAW
from streams.worker import stack
from streams.worker.clients import producer_config
from streams.worker.servers import tansu
from tests.integration.patience import until
from tests.integration.stored import stored

NOON, MINUTE = 1_700_020_800_000, 60_000
OPENID, PHONE, OTHER = ("openid", "wx1", "o-first"), ("phone", None, "13916042758"), ("phone", None, "13705719364")
RULE = """
rule: newcomers
version: 3
when: { event: { of: register } }
send:
  topic: triggers.coupon
  expires_after: 1d
  choose: best
  channels: [{ channel: miniprogram_message, to: openid }, { channel: sms, to: phone }]
journey:
  steps:
    - { step: settle, wait_for: { of: claimed, within: 1h } }
    - { step: gift, emit: {} }
    - { step: rest, wait: 1d }
"""
Ids = tuple[tuple[str, str | None, str], ...]
EVENTS: tuple[tuple[int, str, Ids], ...] = (
    (0, "register", (OPENID,)),
    (10, "register", (PHONE,)),
    (15, "register", (OTHER,)),
    (20, "login", (OPENID, PHONE)),
    (30, "claimed", (PHONE,)),
)


def _event(number: int) -> dict[str, Any]:
    at, kind, ids = EVENTS[number]
    texts = dict.fromkeys(("scene", "channel", "campaign", "item_id", "category", "referrer", "order_id", "amount_fen"))
    identities = [dict(zip(("kind", "scope", "value"), one, strict=True)) for one in ids]
    fields = {"event_id": f"e{number}", "tenant": "t1", "event_type": kind, "event_time": NOON + at * MINUTE}
    return {**fields, **texts, "touchpoint": "app", "identities": identities, "properties": {}}


@pytest.fixture
def asked(embedded: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """What `siyu explain` says of a person, as JSON."""
    for name, value in to_environment(embedded).items():
        monkeypatch.setenv(name, value)

    def ask(id_: str, *words: str) -> Any:
        assert main(["explain", "--rule", "newcomers", "--person", id_, *words]) == 0
        printed = capsys.readouterr().out
        return printed if words == () else json.loads(printed)

    return ask


@pytest.fixture
def embedded(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Settings]:
    """The embedded pipeline after the events."""
    request.getfixturevalue("tansu")
    with ExitStack() as ending:
        broker = ending.enter_context(tansu(tmp_path / "broker"))
        settings = Settings(
            data=tmp_path,
            tenants=("t1",),
            sources=("app",),
            salt=SecretStr("a salt"),
            kafka=Kafka(bootstrap=broker.address, transactions=False, timestamps="create", raw_partitions=1, shards=1),
            ingest=Ingest(idle_progress=False, patience_ms=1_000),
            sink=Sink(block_ms=50),
        )
        rule = tmp_path / "newcomers.yaml"
        rule.write_text(RULE)
        ids = stack.prepare(settings, [rule], NOON - MINUTE)
        workers = ending.enter_context(stack.workers(settings, stack.ROLES, tmp_path / "logs"))
        stack.await_controls(settings, ids, workers)
        _play(Producer(producer_config(settings.kafka)))
        until(lambda: stored(settings) == (len(EVENTS), 1), "all is stored")
        yield settings


def _play(producer: Producer) -> None:
    registry = LocalRegistry()
    for number, (at, _, _) in enumerate(EVENTS):
        value = encode("behaviour_event", _event(number), registry.id_of("behaviour_event"))
        producer.produce(RAW + "app", value, partition=0, timestamp=NOON + at * MINUTE)
    for topic in (RAW + "app", "control", "deliveries", "identity.commands"):
        producer.produce(topic, partition=0, timestamp=NOON + 40 * MINUTE, headers=[(HEARTBEAT, b"")])
    assert producer.flush(30) == 0


def _lines(told: dict[str, Any]) -> list[str]:
    return [point["text"] for point in told["journey"]]


def test_runs_of_two_who_became_one_are_told_with_version_steps_and_why_they_were_left(
    asked: Any, embedded: Settings
) -> None:
    first = asked("openid@wx1:o-first", "--json")
    assert (first["state"], first["version"], first["step"]) == ("sent", 3, "gift")
    assert first["headline"].startswith("step gift, over ")
    run = first["run"]
    assert _lines(first) == [
        f"run {run}, version 3, entered at 2023-11-15 12:00:00",
        "2023-11-15 12:00:00  settle, entered",
        "2023-11-15 12:30:00  gift, came",
        "2023-11-15 12:30:00  rest, sent",
        "stands at step rest since 2023-11-15 12:30:00",
    ]
    none = ["miniprogram_message: 0 of 0 answered", "sms: 0 of 0 answered", "opened or clicked: none"]
    assert [point["text"] for point in first["answers"]] == none
    assert asked("phone:13916042758", "--json") == first
    left = "SELECT run, why FROM siyu.journey_now WHERE step = ''"
    ((other, why),) = answer_of(left, embedded).rows
    assert (why, other == run) == ("merged", False)
    waiting = asked("phone:13705719364", "--json")
    assert (waiting["state"], waiting["step"], waiting["trigger_id"]) == ("waiting", "settle", "")
    assert waiting["headline"] == "at step settle of the journey since 2023-11-15 12:15:00: no message yet"
    assert "stands at step settle since" in asked("phone:13705719364")
