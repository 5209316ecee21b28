"""The commands against the embedded broker: what they write, what they read, what they say."""

import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from schemas.codec import decode_one, encode
from schemas.records import Control
from schemas.registry import LocalRegistry
from streams.cli.main import main
from streams.journal.frame import Entry, Frame, RawRange, encode_frame, no_events, no_ids
from streams.journal.recording import read as read_recording
from streams.settings import PREFIX, Settings, read_settings
from streams.topics import CONTROL, DEADLETTER, JOURNAL, RAW, all_topics
from streams.worker.clients import Record, follow, producer_config, read
from streams.worker.control import await_control, journal_ends, publish_sources
from streams.worker.servers import Server
from streams.worker.topics import create

RULE = Path(__file__).parents[2] / "deploy" / "rules" / "unpaid-order-coupon.yaml"
REGISTRY = LocalRegistry()
EVENT = {
    "event_id": "e1",
    "tenant": "acme",
    "event_type": "order_paid",
    "event_time": 1_700_000_000_000,
    "touchpoint": "pos",
    "identities": [{"kind": "phone", "value": "13912345678"}],
}


@pytest.fixture(scope="module")
def broker(tansu: Server) -> Server:
    """The embedded broker, empty: our topics have names that other tests may use too."""
    return tansu.restart()


@pytest.fixture
def settings(broker: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings for the broker, also in the environment; all topics are there."""
    values = {"KAFKA__BOOTSTRAP": broker.address, "KAFKA__TIMESTAMPS": "create", "KAFKA__SHARDS": "2"}
    values |= {"KAFKA__TRANSACTIONS": "false", "TENANTS": "acme", "SALT": "s", "DATA": str(tmp_path / "data")}
    for name, value in values.items():
        monkeypatch.setenv(PREFIX + name, value)
    monkeypatch.chdir(tmp_path)
    settings = read_settings(None)
    create(settings)
    return settings


def records(settings: Settings, topic: str) -> list[Record]:
    """All records of the topic now."""
    partitions = next(one.partitions for one in all_topics(settings) if one.name == topic)
    return list(read(settings, topic, dict.fromkeys(range(partitions), 0)))


def send(settings: Settings, topic: str, value: bytes, partition: int = 0) -> None:
    """One record, acknowledged."""
    producer = Producer(producer_config(settings.kafka))
    producer.produce(topic, value=value, partition=partition)
    assert producer.flush(10) == 0


def frame_of(record: Control | dict[str, Any], offset: int) -> bytes:
    """A journal frame that holds one control."""
    entry = Entry(0, "control", 0, offset, 1, record)
    return encode_frame(Frame((RawRange(CONTROL, 0, offset, offset + 1),), no_events(), no_ids(), (entry,)))


def published(settings: Settings, source: str) -> list[dict[str, Any]]:
    return [decode_one(record.value, REGISTRY) for record in records(settings, RAW + source)]


def test_good_lines_are_published_and_bad_ones_named(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [
        EVENT,
        EVENT | {"event_id": "e2", "source": "wecom"},
        EVENT | {"event_time": "now"},
        EVENT | {"source": "x"},
    ]
    texts = [json.dumps(line, ensure_ascii=False) for line in lines]
    (tmp_path / "a.jsonl").write_text("\ufeff" + "\n\n".join([*texts, "{"]) + "\n")
    assert main(["publish", "a.jsonl"]) == 1
    told = capsys.readouterr()
    assert told.out == "published 2 events, refused 3\n"
    assert [line.split(":")[1] for line in told.err.splitlines()] == ["5", "7", "9"]
    assert [event["event_id"] for event in published(settings, "pos")] == ["e1"]
    assert [event["event_id"] for event in published(settings, "wecom")] == ["e2"]


def test_lines_come_from_standard_input_and_times_are_simulated(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "\n".join(json.dumps(EVENT | more) for more in ({"received_ms": 1_700_000_009_000}, {}))
    stdin = io.TextIOWrapper(io.BytesIO(text.encode()))
    monkeypatch.setattr("sys.stdin", stdin)
    assert main(["publish", "-", "--source", "app", "--simulated-time", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"published": 2, "refused": 0}
    assert {record.time_ms for record in records(settings, RAW + "app")} == {1_700_000_009_000, 1_700_000_000_000}


def test_without_simulated_time_records_have_the_time_of_now(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps(EVENT | {"received_ms": 1}))
    assert main(["publish", "a.jsonl", "--source", "live"]) == 0
    (record,) = records(settings, RAW + "live")
    assert abs(record.time_ms / 1000 - time.time()) < 60


def test_a_missing_topic_ends_it_after_what_came_before_was_published(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SIYU_SOURCES", "sms,stall")
    lines = [EVENT | {"source": "sms"}, EVENT | {"source": "stall"}, EVENT | {"source": "sms"}]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, lines)))
    assert main(["publish", "a.jsonl"]) == 1
    assert "line 2: topic events.raw.stall is missing" in capsys.readouterr().err
    assert len(published(settings, "sms")) == 1


def test_no_broker_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SIYU_KAFKA__BOOTSTRAP", "127.0.0.1:1")
    (tmp_path / "a.jsonl").write_text(json.dumps(EVENT))
    assert main(["publish", str(tmp_path / "a.jsonl")]) == 1
    assert capfd.readouterr().err == "siyu: no broker answers at 127.0.0.1:1: no connection\n"


def test_a_rule_is_applied_as_it_stands_in_its_file(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rules", "apply", str(RULE), "--tenant", "acme", "--who", "li", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    record = decode_one(records(settings, CONTROL)[-1].value, REGISTRY, "control")
    assert record["control_id"] == told["control_id"]
    assert record["text"] == RULE.read_text()
    assert [record[name] for name in ("tenant", "kind", "name", "version", "who")] == [
        *("acme", "rules", "unpaid-order-coupon", 1, "li")
    ]


def test_nothing_is_applied_when_one_file_has_a_fault(settings: Settings, tmp_path: Path) -> None:
    before = len(records(settings, CONTROL))
    (tmp_path / "bad.yaml").write_text("rule: bad\n")
    assert main(["rules", "apply", str(RULE), "bad.yaml"]) == 1
    assert main(["rules", "apply", str(RULE), "--tenant", "nobody"]) == 1
    assert len(records(settings, CONTROL)) == before


@pytest.fixture
def ingest(settings: Settings) -> Iterator[Callable[[], None]]:
    """Starts what ingest does with controls: from now on, each into the journal of every shard."""

    def carry(end: int) -> None:
        for record in follow(settings, CONTROL, {0: end}, within_s=20):
            fields = decode_one(record.value, REGISTRY, "control")
            for shard in range(settings.kafka.shards):
                send(settings, JOURNAL, frame_of(fields, record.offset), shard)
            return

    end = len(records(settings, CONTROL))
    thread = threading.Thread(target=carry, args=(end,))
    yield thread.start
    thread.join()


def test_a_rule_that_is_waited_for_stands_in_every_journal(
    settings: Settings, ingest: Callable[[], None], capsys: pytest.CaptureFixture[str]
) -> None:
    ingest()
    assert main(["rules", "apply", str(RULE), "--wait"]) == 0
    assert "for * stands in the journal" in capsys.readouterr().out


@pytest.fixture
def newer(settings: Settings, tmp_path: Path) -> str:
    """The text of a rule of which a newer version is in force."""
    text = RULE.read_text().replace("rule: unpaid-order-coupon", "rule: twice")
    (tmp_path / "newer.yaml").write_text(text.replace("version: 1\n", "version: 2\n"))
    assert main(["rules", "apply", str(tmp_path / "newer.yaml")]) == 0
    return text


def test_an_older_version_that_is_waited_for_is_told_to_be_refused(
    newer: str, ingest: Callable[[], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "older.yaml").write_text(newer)
    ingest()
    assert main(["rules", "apply", str(tmp_path / "older.yaml"), "--wait"]) == 1
    assert "rule twice version 2 stays in force for *: 1 is older" in capsys.readouterr().err


def test_a_rule_that_no_ingest_takes_is_told_so(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rules", "apply", str(RULE), "--wait", "0.5"]) == 1
    assert "not in the journal of shard 0, 1: is ingest up?" in capsys.readouterr().err


def test_the_source_set_names_every_raw_partition(settings: Settings, ingest: Callable[[], None]) -> None:
    ends = journal_ends(settings)
    ingest()
    control_id = publish_sources(settings, Producer(producer_config(settings.kafka)), REGISTRY)
    await_control(settings, control_id, since=ends)
    record = decode_one(records(settings, CONTROL)[-1].value, REGISTRY, "control")
    assert (record["kind"], record["tenant"]) == ("sources", "*")
    assert record["text"].count("topic: events.raw.") == len(settings.sources) * settings.kafka.raw_partitions


@pytest.fixture
def letters(settings: Settings) -> list[dict[str, Any]]:
    """Three more dead letters, two of them for one reason."""
    common = {"stage": "ingest", "raw": b"secret", "topic": "events.raw.pos", "partition": 0, "schema_id": 1}
    made: list[dict[str, Any]] = [
        common | {"offset": 1, "reason": "undecodable", "detail": "of 13912345678", "time": 1_700_000_000_000},
        common | {"offset": 3, "reason": "unknown_tenant", "detail": "c", "time": 1_700_000_002_000},
        common | {"offset": 2, "reason": "unknown_tenant", "detail": "b", "time": 1_700_000_001_000},
    ]
    for at, letter in enumerate(made):
        value = encode("dead_letter", letter, REGISTRY.id_of("dead_letter"))
        send(settings, DEADLETTER, value, at % settings.kafka.shards)
    return made


def test_dead_letters_are_listed_with_the_newest_last(
    letters: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["deadletters", "list", "--limit", "3", "--json"]) == 0
    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["time"] for one in printed] == sorted(one["time"] for one in printed)
    assert len(printed) == 3
    assert all("raw" not in one for one in printed)


def test_dead_letters_of_one_reason_hide_phones(
    letters: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["deadletters", "list", "--reason", "undecodable"]) == 0
    printed = capsys.readouterr().out
    assert "139****5678" in printed
    assert "13912345678" not in printed
    assert "unknown_tenant" not in printed
    assert main(["deadletters", "list", "--reason", "undecodable", "--raw"]) == 0
    assert "c2VjcmV0" in capsys.readouterr().out


def test_a_journal_is_recorded_whole(settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for offset in range(3):
        send(settings, JOURNAL, frame_of({"control_id": "a"}, offset), 1)
    assert main(["journal", "record", "all.msgpack"]) == 0
    expected = {(one.partition, one.offset, one.value) for one in records(settings, JOURNAL)}
    with (tmp_path / "all.msgpack").open("rb") as file:
        header, recorded = read_recording(file)
        assert {tuple(one) for one in recorded} == expected
    assert (header.shards, header.recorded) == (2, (0, 1))
    assert not list(tmp_path.glob("*.partial"))
    assert capsys.readouterr().out == f"recorded {len(expected)} journal records of 2 shards in all.msgpack\n"


def test_only_the_shards_that_were_asked_for_are_recorded(settings: Settings, tmp_path: Path) -> None:
    send(settings, JOURNAL, frame_of({"control_id": "a"}, 9), 1)
    assert main(["journal", "record", "one.msgpack", "--shard", "1"]) == 0
    with (tmp_path / "one.msgpack").open("rb") as file:
        assert {one.shard for one in read_recording(file)[1]} == {1}
    assert main(["journal", "record", "none.msgpack", "--shard", "7"]) == 2
    assert not (tmp_path / "none.msgpack").exists()


def test_the_doctor_finds_nothing_to_mend(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    assert "MEND" not in capsys.readouterr().out


def test_the_doctor_names_missing_topics_and_makes_them(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SIYU_SOURCES", "pos,kiosk")
    assert main(["doctor"]) == 1
    assert "such as events.raw.kiosk: `siyu doctor --create` makes them" in capsys.readouterr().out
    assert main(["doctor", "--create"]) == 0


def test_the_doctor_names_wrong_partitions(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SIYU_KAFKA__SHARDS", "3")
    assert main(["doctor", "--json"]) == 1
    findings = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    wrong = [finding["sentence"] for finding in findings if not finding["good"]]
    assert "topic siyu.internal.journal has 2 partitions, 3 are wanted: set kafka.shards to 2" in wrong
