"""A person is erased on Apache Kafka and ClickHouse: no table, snapshot or changelog has them, no replay adds any."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from pydantic import SecretStr

from sinks.urls import open_sink
from streams.cli.failure import Failure
from streams.cli.main import load, parser_of
from streams.settings import Engine, Ingest, Kafka, Settings, Sink, Snapshots
from streams.topics import CHANGELOG
from streams.worker import stack
from streams.worker.clients import read
from streams.worker.control import first_of
from streams.worker.servers import Server, apache_kafka, clickhouse_server
from streams.worker.state.archive import Archive
from streams.worker.state.changelog import Assembler
from streams.worker.state.origin import origin_of
from tests.integration.patience import until

GONE, STAYS = ("openid@wx1:o-gone", "phone:13912340001", "uid:u-gone"), ("openid@wx1:o-stays", "uid:u-stays")
SECRETS = ("o-gone", "+8613912340001", "u-gone")


@pytest.fixture(scope="module")
def settings(kafka: Server, clickhouse: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """One worker of each role, on servers of their own, with snapshots that the changelog is cut off for."""
    folder = tmp_path_factory.mktemp("erasing")
    with apache_kafka(folder / "kafka") as broker, clickhouse_server(folder / "clickhouse") as sink:
        given = Settings(
            data=folder,
            tenants=("t1",),
            salt=SecretStr("salt"),
            kafka=Kafka(bootstrap=broker.address, raw_partitions=1, shards=1),
            ingest=Ingest(idle_every_ms=100),
            engine=Engine(commit_ms=20),
            sink=Sink(url=f"clickhouse://default@{sink.address}/", block_ms=100),
            snapshots=Snapshots(url=f"file://{folder}/snapshots", prune=True),
        )
        with stack.workers(given, ("ingest", "engine", "sink"), folder / "logs") as running:
            stack.await_controls(given, stack.prepare(given, [], None), running)
            until(lambda: _is_migrated(given), "the tables are there")
            yield given


def _is_migrated(settings: Settings) -> bool:
    with closing(open_sink(settings.sink_url)) as database:
        return bool(database.query("SELECT count() FROM system.tables WHERE name = 'sink_erased'").rows[0][0])


def siyu(settings: Settings, capsys: pytest.CaptureFixture[str], *words: str) -> list[dict[str, Any]]:
    command = load(words[0])
    assert command.run(parser_of(command).parse_args(list(words[1:])), settings) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]


def publish(settings: Settings, capsys: pytest.CaptureFixture[str], name: str, *seen: tuple[str, ...], at: int) -> None:
    """Events with these ids, which happened at this time."""
    path = settings.data / f"{name}.jsonl"
    with path.open("w") as file:
        for number, ids in enumerate(seen):
            known = [one.partition(":")[::2] for one in ids]
            told = [{"kind": k.split("@")[0], "scope": k.partition("@")[2] or None, "value": v} for k, v in known]
            event = {"event_id": f"{name}-{number}", "tenant": "t1", "event_type": "login", "event_time": at + number}
            file.write(json.dumps({**event, "touchpoint": "app", "identities": told}) + "\n")
    siyu(settings, capsys, "publish", str(path))


def stored(settings: Settings, capsys: pytest.CaptureFixture[str]) -> set[str]:
    rows = siyu(settings, capsys, "query", "SELECT event_id FROM siyu.events", "--json")
    return {row["event_id"] for row in rows}


def is_done(settings: Settings, capsys: pytest.CaptureFixture[str]) -> bool:
    """Whether the newest block is there as a whole: its tables come one after the other."""
    (newest,) = siyu(settings, capsys, "query", "SELECT state FROM siyu.sink_blocks ORDER BY n DESC LIMIT 1", "--json")
    return newest == {"state": "done"}


def test_an_erased_person_is_nowhere_and_stays_away(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    now_ms = int(time.time() * 1000)
    publish(settings, capsys, "first", GONE[:2], GONE[1:], STAYS, at=now_ms - 10_000)
    until(lambda: len(stored(settings, capsys)) == 3 and is_done(settings, capsys), "the events are stored")
    before = siyu(settings, capsys, "identity", "show", GONE[2], "--json")[0]["one_id"]
    would = siyu(settings, capsys, "identity", "erase", GONE[2], "--dry-run", "--json")
    assert {one["table"]: one["rows"] for one in would}["events.node"] == 2
    proof = siyu(settings, capsys, "identity", "erase", GONE[2], "--why", "asked for it", "--json")
    assert {one["table"]: one["before"] for one in proof} == {one["table"]: one["rows"] for one in would}
    assert {one["after"] for one in proof} == {0}
    assert stored(settings, capsys) == {"first-2"}

    publish(settings, capsys, "again", GONE[:2], GONE[1:], at=now_ms - 10_000)
    publish(settings, capsys, "back", (GONE[2],), at=int(time.time() * 1000))
    until(lambda: stored(settings, capsys) == {"first-2", "back-0"}, "who returns is stored, and no replay is")
    returned = siyu(settings, capsys, "identity", "show", GONE[2], "--json")
    assert returned[0]["one_id"] != before
    assert [one["id"] for one in returned if one["what"] == "id"] == [GONE[2]]
    until(lambda: not _secrets_kept(settings), "neither snapshots nor changelog have the ids")


def _secrets_kept(settings: Settings) -> bool:
    """Whether a kept snapshot, or the changelog, names an id that only the erased had."""
    archive = Archive(settings.snapshots_url, 0, origin_of(settings))
    texts = []
    for kept in archive.kept():
        with archive.load(kept) as (_, parts):
            texts += [repr(change) for part in parts for change in part.changes()]
    assembler = Assembler()
    for record in read(settings, CHANGELOG, first_of(settings, CHANGELOG)):
        commit = assembler.add(record.value)
        texts += [repr(change) for change in commit.changes] if commit else []
    return any(secret in text for text in texts for secret in SECRETS[:2])


NUMBER, HASH_SALT = "13912340077", "the shop's"
HASHED = hashlib.sha256(f"{HASH_SALT}+86{NUMBER}".encode()).hexdigest()
HASHING = f"policy: shops\nversion: 1\nhashed_phones: [{{scope: tmall, algorithm: sha256, salt: {HASH_SALT}}}]\n"
RULE = """
rule: welcome
version: 1
when: { event: { of: register } }
send: { topic: triggers.coupon, expires_after: 1h, channels: [{ channel: sms, to: phone }] }
"""


def test_every_command_finds_a_person_by_a_phone_of_which_only_a_hash_was_seen(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    phone, uid = f"phone:{NUMBER}", "uid:u-hashed"
    for name, text in (("policy", HASHING), ("rules", RULE)):
        (settings.data / f"{name}.yaml").write_text(text)
        siyu(settings, capsys, name, "apply", str(settings.data / f"{name}.yaml"), "--tenant", "t1", "--wait")
    publish(settings, capsys, "hashed", (f"phone@tmall:{HASHED}", uid), at=int(time.time() * 1000) - 10_000)
    until(lambda: "hashed-0" in stored(settings, capsys) and is_done(settings, capsys), "the event is stored")

    def ids() -> set[str]:
        shown = siyu(settings, capsys, "identity", "show", phone, "--json")
        return {one["id"] for one in shown if one["what"] == "id"}

    assert len(ids()) == 2
    assert uid in ids()
    (step,) = siyu(settings, capsys, "identity", "explain", uid, phone, "--json")
    assert (step["a"], step["event_id"]) == (uid, "hashed-0")
    (told,) = siyu(settings, capsys, "explain", "--rule", "welcome", "--person", phone, "--json")
    assert told["one_id"] == siyu(settings, capsys, "identity", "show", uid, "--json")[0]["one_id"]

    siyu(settings, capsys, "identity", "unlink", uid, phone, "--tenant", "t1", "--why", "sold", "--json")
    until(lambda: uid not in ids() and is_done(settings, capsys), "the phone is of another person")
    siyu(settings, capsys, "identity", "link", uid, phone, "--tenant", "t1", "--why", "not sold", "--json")
    until(lambda: uid in ids() and is_done(settings, capsys), "the phone is of the first person again")

    proof = siyu(settings, capsys, "identity", "erase", phone, "--why", "asked for it", "--json")
    assert {one["after"] for one in proof} == {0}
    assert "hashed-0" not in stored(settings, capsys)
    with pytest.raises(Failure, match="nobody of t1 is known by phone"):
        siyu(settings, capsys, "identity", "show", phone)
