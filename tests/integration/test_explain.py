"""`siyu explain` on a real pipeline: the embedded stack over its query socket, and Apache Kafka with ClickHouse."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from confluent_kafka import Producer
from pydantic import SecretStr

from schemas.codec import encode
from schemas.registry import LocalRegistry
from streams.cli.main import main
from streams.settings import Ingest, Kafka, Settings, Sink, to_environment
from streams.topics import HEARTBEAT, RAW
from streams.worker import stack
from streams.worker.clients import producer_config
from streams.worker.control import publish_control
from streams.worker.servers import apache_kafka, clickhouse_server, tansu
from tests.integration.life import value_of
from tests.integration.patience import until
from tests.integration.stored import stored

NOON, MINUTE = 1_700_020_800_000, 60_000
PHONE, OPENID = "13916042758", "o-explained-0000000000000001"
RULE = """
rule: unpaid
version: 4
when:
  absence: { after: order_submitted, where: event.amount_fen >= 5000, of: order_paid, within: 1h, same: order_id }
send:
  topic: triggers.coupon
  expires_after: 24h
  channels: [{ channel: miniprogram_message, to: openid, scope: wx1 }, { channel: sms, to: phone }]
"""
POLICY = """
delivery: usual
version: 1
caps: [{ most: 1, per: day }]
"""


class Running(NamedTuple):
    """A pipeline that runs, and its engine worker."""

    settings: Settings
    engine: stack.Worker


def _event(at: int, kind: str, order: str, fen: int = 9_900, phone: str = PHONE) -> tuple[str, dict[str, Any]]:
    texts = dict.fromkeys(("scene", "channel", "campaign", "item_id", "category", "referrer"))
    ids = [{"kind": "phone", "scope": None, "value": phone}]
    ids += [{"kind": "openid", "scope": "wx1", "value": OPENID}] if phone == PHONE else []
    time_ms = NOON + at * MINUTE
    fields = {"event_id": f"{kind}-{order}", "tenant": "t1", "event_type": kind, "event_time": time_ms}
    fields |= {**texts, "touchpoint": "order", "identities": ids, "order_id": order, "amount_fen": fen}
    return "order", fields | {"properties": {}}


EVENTS = (
    _event(0, "order_submitted", "sent"),
    _event(1, "order_submitted", "small", 4_900),
    _event(2, "order_submitted", "paid"),
    _event(3, "order_paid", "paid", phone="13705719364"),
    _event(10, "order_submitted", "capped"),
    _event(115, "order_submitted", "waits"),
    _event(180, "page_view", "last"),
    ("app", _event(120, "page_view", "elsewhere")[1]),
)


def _settings(folder: Path, kind: str, ending: ExitStack) -> Settings:
    if kind == "embedded":
        broker = ending.enter_context(tansu(folder / "broker"))
        kafka, sink = Kafka(bootstrap=broker.address, transactions=False), Sink(block_ms=50)
    else:
        broker = ending.enter_context(apache_kafka(folder / "kafka"))
        server = ending.enter_context(clickhouse_server(folder / "clickhouse"))
        kafka, sink = Kafka(bootstrap=broker.address), Sink(url=f"clickhouse://default@{server.address}/", block_ms=50)
    return Settings(
        data=folder,
        tenants=("t1",),
        sources=("app", "order"),
        salt=SecretStr("a salt"),
        kafka=kafka.model_copy(update={"timestamps": "create", "raw_partitions": 1, "shards": 1}),
        ingest=Ingest(idle_progress=False, patience_ms=1_000),
        sink=sink,
    )


@pytest.fixture(scope="module", params=["embedded", pytest.param("servers", marks=pytest.mark.servers)])
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The pipeline after the events, still running; the embedded sink owns its database."""
    folder = tmp_path_factory.mktemp("x")
    if request.param == "embedded":
        request.getfixturevalue("tansu")
    else:
        request.getfixturevalue("kafka"), request.getfixturevalue("clickhouse")
    with ExitStack() as ending:
        settings = _settings(folder, request.param, ending)
        rule = folder / "unpaid.yaml"
        rule.write_text(RULE)
        ids = stack.prepare(settings, [rule], NOON - MINUTE)
        producer, registry = Producer(producer_config(settings.kafka)), LocalRegistry()
        since = NOON - MINUTE
        ids.append(publish_control(producer, registry, kind="delivery", name="usual", text=POLICY, time_ms=since))
        workers = ending.enter_context(stack.workers(settings, stack.ROLES, folder / "logs"))
        stack.await_controls(settings, ids, workers)
        _play(producer, registry)
        until(lambda: stored(settings) == (len(EVENTS), 2), "all is stored")
        yield Running(settings, workers[1])


def _play(producer: Producer, registry: LocalRegistry) -> None:
    for source, event in EVENTS:
        value = encode("behaviour_event", event, registry.id_of("behaviour_event"))
        producer.produce(RAW + source, value, partition=0, timestamp=event["event_time"])
    _beat(producer, 180, "control", "deliveries", "identity.commands")


def _beat(producer: Producer, minutes: int, *topics: str) -> None:
    """Says on these topics that all has been said up to so many minutes past noon."""
    for topic in topics:
        producer.produce(topic, partition=0, timestamp=NOON + minutes * MINUTE, headers=[(HEARTBEAT, b"")])
    assert producer.flush(30) == 0


@pytest.fixture
def asked(running: Running, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """What the command says, as JSON; `screen` as people see it."""
    for name, value in to_environment(running.settings).items():
        monkeypatch.setenv(name, value)

    def ask(*words: str, screen: bool = False) -> Any:
        assert main(["explain", *words, *([] if screen else ["--json"])]) == 0
        printed = capsys.readouterr().out
        return printed if screen else json.loads(printed)

    return ask


def about(order: str) -> tuple[str, ...]:
    return "--rule", "unpaid", "--person", f"phone:{PHONE}", "--order", order


def points(told: dict[str, Any], section: str = "points") -> list[str]:
    return [point["text"] for point in told[section]]


def test_what_was_sent_is_told_with_its_version_events_and_caps(asked: Any) -> None:
    told = asked(*about("sent"))
    assert (told["state"], told["version"]) == ("sent", 4)
    assert told["headline"].startswith(f"over miniprogram_message to openid {OPENID} at 2023-11-15 1")
    assert points(told, "events") == ["order_submitted order_submitted-sent at 2023-11-15 12:00:00"]
    assert points(told, "caps") == ["all channels: 0 of 1 used this day"]
    assert points(told, "ways_to_the_person") == [f"miniprogram_message: {OPENID}", "sms: +86139****2758"]
    trigger_id = told["trigger_id"]
    assert asked(trigger_id) == {**told, "order": "sent"}


def test_what_was_suppressed_names_the_cap_that_was_used_up(asked: Any) -> None:
    told = asked(*about("capped"))
    assert (told["state"], points(told, "caps")) == ("suppressed", ["all channels: 1 of 1 used this day"])
    assert "the caps over all channels were used up" in told["headline"]


def test_what_never_matched_names_the_condition_and_the_value(asked: Any) -> None:
    told = asked(*about("small"))
    assert told["state"] == "not_matched"
    assert any("event.amount_fen is 4900" in text for text in points(told))


def test_what_was_prevented_names_the_payment_of_whoever_paid(asked: Any) -> None:
    told = asked(*about("paid"))
    assert told["state"] == "prevented"
    assert "order_paid order_paid-paid at 2023-11-15 12:03:00: in time, which was until 2023-11-15 13:02:00" in points(
        told
    )


def test_what_still_waits_names_the_sources(asked: Any) -> None:
    told = asked(*about("waits"))
    assert told["state"] == "waiting"
    assert "events.raw.app/0 is read to 2023-11-15 14:00:00" in points(told)


def test_an_order_of_nobody_is_another_case_than_one_that_never_came(asked: Any) -> None:
    assert asked(*about("never"))["headline"] == "no order_submitted of order never has come"


def test_without_an_order_the_newest_match_is_told_and_without_a_person_the_buyer(asked: Any) -> None:
    assert asked("--rule", "unpaid", "--person", f"openid@wx1:{OPENID}")["order"] == "capped"
    assert asked("--rule", "unpaid", "--order", "sent") == asked(*about("sent"))


def test_one_screen_says_it_and_shows_no_phone(asked: Any) -> None:
    screen = asked(*about("small"), screen=True)
    assert screen.startswith("NOT MATCHED  no order_submitted of order small meets the rule (1 came)\n")
    assert len(screen.splitlines()) < 24
    assert PHONE not in screen


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        (["--rule", "unpaid", "--person", "phone:13902157746"], 1, "nobody of t1 is known by phone +86139****7746"),
        (["--rule", "unpaid", "--person", "phone:13912345678"], 1, "+86139****5678 is a value that names nobody"),
        (["--rule", "unpaid", "--order", "nope"], 1, "no event of t1 names order nope"),
        (["--rule", "paid", "--order", "sent"], 1, "no rule paid is in force for t1; in force: unpaid"),
        (["0" * 32], 1, "no decision has trigger_id 0000"),
        (["--rule", "unpaid"], 2, "name a TRIGGER_ID, or --rule with --person or --order"),
        (["--rule", "unpaid", "--person", "li"], 2, "li is no id"),
        (["--rule", "unpaid", "--order", "sent", "--tenant", "t9"], 1, "tenant t9 is not among the tenants"),
    ],
)
def test_unknown_ids_end_with_one_clear_sentence(
    asked: Any, capsys: pytest.CaptureFixture[str], words: list[str], status: int, told: str
) -> None:
    assert main(["explain", *words]) == status
    said = capsys.readouterr().err
    assert told in said
    assert said.count("\n") == 1


def test_the_doctor_says_which_rule_waits_for_which_source_since_when_and_what_to_do(
    asked: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor", "--json"]) == 1
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (waits,) = [one for one in told if one["about"] == "waits"]
    assert not waits["good"]
    assert waits["sentence"].startswith("unpaid (t1): waiting for app/0, since 2023-11-15 14:00:00, 1 h behind. Mend ")


def test_a_wait_that_one_source_holds_back_is_measured_and_is_decided_when_that_source_has_passed(
    running: Running, asked: Any
) -> None:
    settings, engine = running
    producer = Producer(producer_config(settings.kafka))

    def held(minutes: int) -> float:
        _beat(producer, minutes, RAW + "order")
        return value_of(engine, "siyu_waits_held", rule="unpaid", source="app/0")

    until(lambda: held(181) == 1, "the metric tells that app holds one wait back")
    assert value_of(engine, "siyu_waits_held") == 1
    _beat(producer, 175, RAW + "app")
    until(lambda: held(182) == 1, "at the deadline itself it is still held")
    assert stored(settings)[1] == 2
    _beat(producer, 176, RAW + "app")
    until(lambda: stored(settings)[1] == 3, "the third decision is stored")
    assert asked(*about("waits"))["state"] == "suppressed"
    until(lambda: held(183) == 0, "nothing is held any more")
