"""`siyu replay` on Apache Kafka and ClickHouse while traffic flows and processes die: nothing lost, twice or sent."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import TopicPartition

from bench.player import Player, with_entry_heartbeats
from bench.traffic import Sent, TrafficSpec, plan
from schemas.frames import decode_resolved
from schemas.registry import LocalRegistry
from sinks import audit, ledger
from sinks.sink import Database, SinkUnavailable
from sinks.urls import open_sink
from streams.cli.main import main
from streams.settings import Settings, to_environment
from streams.topics import JOURNAL, RESOLVED
from streams.worker import stack
from streams.worker.clients import admin, producer_config
from streams.worker.servers import Server, apache_kafka, clickhouse_server
from streams.worker.servers.process import free_ports
from tests.chaos.aftermath import Aftermath
from tests.chaos.run import FOREVER, RULES, missing_of, settings_of
from tests.integration.patience import until

pytestmark = pytest.mark.servers

RECORDS_A_SECOND = 800
SMALL_BLOCKS = {"SIYU_SINK__BLOCK_ROWS": "500"}
"""So that a replay has many steps in which it can be killed."""


@dataclass
class Stand:
    """Servers and workers; `log` is what each replay printed, by what happened to it."""

    settings: Settings
    broker: Server
    database: Server
    workers: dict[str, stack.Worker] = field(default_factory=dict)

    def start(self, role: str) -> None:
        (port,) = free_ports(1)
        log = self.settings.data / f"{role}.log"
        self.workers[role] = stack.start_worker(self.settings, role, port, log)

    def restart_killed(self, role: str) -> None:
        self.workers[role].process.kill()
        self.workers[role].process.wait()
        self.start(role)

    def abort(self) -> None:
        for worker in self.workers.values():
            worker.process.kill()
            worker.process.wait()

    def replaying(self) -> subprocess.Popen[str]:
        """A replay that was started, with its standard output as JSON lines."""
        environment = {**os.environ, **to_environment(self.settings), **SMALL_BLOCKS}
        command = [*stack.COMMAND, "replay", "--json"]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe, text=True)

    def asked(self) -> Database:
        return open_sink(self.settings.sink_url)

    def databases(self) -> set[str]:
        with closing(self.asked()) as database:
            return {str(row[0]) for row in database.query("SHOW DATABASES").rows if str(row[0]).startswith("siyu_")}

    def events(self) -> int:
        """Facts that stand now."""
        try:
            with closing(self.asked()) as database:
                return int(database.query("SELECT count() FROM siyu.events").rows[0][0])
        except (SinkUnavailable, ValueError):
            return 0


@dataclass(frozen=True)
class Told:
    """What a replay said, and how it ended."""

    code: int
    lines: Sequence[dict[str, Any]]
    error: str

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [line[kind] for line in self.lines if kind in line]


def told(replaying: subprocess.Popen[str]) -> Told:
    out, error = replaying.communicate(timeout=90)
    return Told(replaying.returncode, [json.loads(line) for line in out.splitlines()], error)


@dataclass
class Run:
    """A run that is over and has settled."""

    stand: Stand
    aftermath: Aftermath
    replays: dict[str, Told]


@pytest.fixture(scope="module")
def run(kafka: Server, clickhouse: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """On servers of its own, since it kills them: the shared ones show that they can run here."""
    folder = tmp_path_factory.mktemp("replay")
    traffic = plan(TrafficSpec(people=100, days=0.7))
    with (
        apache_kafka(folder / "kafka", settings=FOREVER) as broker,
        clickhouse_server(folder / "clickhouse") as database,
    ):
        settings = settings_of(folder, broker, database, traffic.spec.tenants)
        settings.data.mkdir()
        stand = Stand(settings, broker, database)
        ids = stack.prepare(settings, sorted(RULES.glob("unpaid-*.yaml")), traffic.spec.start_ms - 60_000)
        try:
            for role in stack.ROLES:
                stand.start(role)
            stack.await_controls(settings, ids, list(stand.workers.values()))
            yield _played(stand, list(with_entry_heartbeats(traffic)), folder)
        finally:
            stand.abort()


def _played(stand: Stand, records: list[Sent], folder: Path) -> Run:
    """A portion of the traffic before, while each of the replays reads the log, and after."""
    size = len(records) // (len(STORIES) + 2) + 1
    portions = [records[at : at + size] for at in range(0, len(records), size)]
    _play(stand, portions.pop(0))
    until(lambda: stand.events() > 200, "there are facts")
    replays = {name: _disturbed(stand, portions.pop(0), story) for name, story in STORIES.items()}
    _play(stand, portions.pop())
    until(lambda: not missing_of(stand.settings), "all is settled")
    aftermath = Aftermath(stand.settings, folder)
    assert aftermath.undisturbed
    assert aftermath.topic(RESOLVED)
    return Run(stand, aftermath, replays)


def _disturbed(stand: Stand, portion: list[Sent], story: Callable[[Stand, subprocess.Popen[str]], None]) -> Told:
    replaying = stand.replaying()
    _await_progress(replaying)
    playing = threading.Thread(target=_play, args=(stand, portion))
    playing.start()
    story(stand, replaying)
    said = told(replaying)
    playing.join()
    return said


def _play(stand: Stand, portion: list[Sent]) -> None:
    Player(producer_config(stand.settings.kafka), LocalRegistry(), RECORDS_A_SECOND).play(portion)


def _await_progress(replaying: subprocess.Popen[str]) -> None:
    assert replaying.stdout is not None
    while line := replaying.stdout.readline():
        if "progress" in json.loads(line):
            return
    raise AssertionError(replaying.communicate()[1])


def left_alone(stand: Stand, replaying: subprocess.Popen[str]) -> None:
    """Nothing happens."""


def killed(stand: Stand, replaying: subprocess.Popen[str]) -> None:
    replaying.kill()


def others_killed(stand: Stand, replaying: subprocess.Popen[str]) -> None:
    """The sink while the fresh tables are filled, and the database while they are swapped in."""
    stand.restart_killed("sink")
    until(lambda: any(name.startswith("siyu_old_") for name in stand.databases()), "the swap has begun")
    stand.database.kill()
    stand.database.start()


STORIES = {"left alone": left_alone, "killed": killed, "others killed": others_killed}


def test_it_comes_to_its_end_while_traffic_flows_and_others_die(run: Run) -> None:
    ends = {name: (replay.code, replay.error) for name, replay in run.replays.items()}
    assert ends.pop("killed")[0] == -signal.SIGKILL
    assert set(ends.values()) == {(0, "")}, ends
    assert all(replay.of("swapped")[-1]["rows"]["events"] > 200 for replay in map(run.replays.get, ends) if replay)


def test_tables_and_views_are_those_of_an_undisturbed_run(run: Run) -> None:
    assert set(run.aftermath.facts().values()) == {(0, 0)}, run.aftermath.facts()


def test_the_ledger_tells_of_every_row_and_the_sink_has_written_to_it_since(run: Run) -> None:
    with closing(run.stand.asked()) as database:
        assert list(audit.differences(database, settled=True)) == []
        for shard in range(run.stand.settings.kafka.shards):
            newest = ledger.newest(database, shard)
            assert newest is not None
            assert newest.n > ledger.rebuilt_at(database, shard) > 0
    assert run.stand.databases() == set()


def test_nothing_was_sent_by_it(run: Run) -> None:
    assert set(run.aftermath.public().values()) == {(0, 0)}, run.aftermath.public()
    assert set(run.aftermath.resolved().values()) == {(0, 0)}


@pytest.fixture
def environment(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands of this process mean this stand."""
    for name, value in to_environment(run.stand.settings).items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("environment")
def test_the_doctor_sees_rows_that_are_gone_and_a_replay_brings_them_back(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    shard, *_ = shards_with_facts(run)
    assert main(["doctor"]) == 0
    said = capsys.readouterr().out
    assert "good  facts: each block has the rows that the ledger notes\n" in said
    assert "good  replay: facts can be replayed from the first event on\n" in said
    with closing(run.stand.asked()) as database:
        (block,) = database.query(f"SELECT min(block) FROM siyu.events WHERE shard = {shard}").rows[0]
        database.remove("events", {"shard": shard, "block": block})
    assert main(["doctor"]) == 1
    said = capsys.readouterr().out
    assert f"MEND  facts: block {block} of shard {shard} has 0 rows in events, noted are " in said
    assert main(["replay", "--shard", str(shard)]) == 0
    assert "nothing was sent" in capsys.readouterr().out
    assert main(["doctor"]) == 0
    assert set(run.aftermath.facts().values()) == {(0, 0)}, run.aftermath.facts()


@pytest.mark.usefixtures("environment")
def test_the_doctor_says_where_topics_are_kept_for_another_time_than_settings_say(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SIYU_KAFKA__RESOLVED_DAYS", "60")
    assert main(["doctor"]) == 1
    wrong = f"topic {RESOLVED} has retention.ms=2592000000: set it to 5184000000 with kafka-configs.sh"
    assert f"MEND  topics: {wrong}\n" in capsys.readouterr().out


def cut_off(settings: Settings, topic: str, shard: int, offset: int) -> None:
    """As retention does it: what lies before this offset is gone."""
    client = admin(settings.kafka)  # its answers live as long as it does
    (done,) = client.delete_records([TopicPartition(topic, shard, offset)]).values()
    done.result()


def shards_with_facts(run: Run) -> list[int]:
    with closing(run.stand.asked()) as database:
        return sorted(int(row[0]) for row in database.query("SELECT DISTINCT shard FROM siyu.events").rows)


def blocks_of(run: Run, shard: int) -> list[range]:
    """The journal offsets of the blocks that the live tables hold, in their order."""
    told = f"SELECT DISTINCT first_offset, last_offset FROM siyu.{ledger.TABLE} WHERE shard = {shard}"
    with closing(run.stand.asked()) as database:
        rows = database.query(f"{told} AND state = 'done' ORDER BY first_offset").rows
    return [range(int(first), int(last) + 1) for first, last in rows]


def replayed(capsys: pytest.CaptureFixture[str], *words: str) -> Told:
    """A replay in this process, of the `environment`."""
    capsys.readouterr()
    code = main(["replay", "--json", *words])
    said = capsys.readouterr()
    return Told(code, [json.loads(line) for line in said.out.splitlines()], said.err)


@pytest.mark.usefixtures("environment")
def test_what_the_resolved_frames_lack_comes_from_the_journal_folded_again(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    shard, *_ = shards_with_facts(run)
    frames = [record for record in run.aftermath.topic(RESOLVED) if record.partition == shard]
    cut_off(run.stand.settings, RESOLVED, shard, frames[len(frames) // 2].offset)
    replay = replayed(capsys, "--shard", str(shard))
    assert (replay.code, replay.error) == (0, "")
    (part,) = (part for part in replay.of("part") if part["shard"] == shard)
    assert (part["start"], part["source"], part["kept"]) == (0, JOURNAL, 0)
    assert set(run.aftermath.facts().values()) == {(0, 0)}, run.aftermath.facts()


@pytest.mark.usefixtures("environment")
def test_beyond_all_retention_it_refuses_and_says_how_far_back_it_goes(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    *_, shard = shards_with_facts(run)
    frames = [record for record in run.aftermath.topic(RESOLVED) if record.partition == shard]
    *before, _ = blocks_of(run, shard)
    first = [frame for frame in frames if decode_resolved(frame.value).journal_offset < before[-1].stop][-1]
    cut_off(run.stand.settings, RESOLVED, shard, first.offset)
    cut_off(run.stand.settings, JOURNAL, shard, 3)
    refused = replayed(capsys, "--shard", str(shard))
    assert (refused.code, refused.error.count("\n"), refused.lines) == (1, 1, [])
    begins = decode_resolved(first.value).journal_offset
    assert f"{RESOLVED} holds nothing before journal offset {begins}, of 20" in refused.error
    assert "--held replays what is held" in refused.error
    held = replayed(capsys, "--shard", str(shard), "--held")
    assert (held.code, held.error) == (0, "")
    (part,) = (part for part in held.of("part") if part["shard"] == shard)
    assert part["source"] == RESOLVED
    assert part["start"] == (begins if begins == before[-1].start else before[-1].stop)
    assert part["kept"] == sum(block.stop <= part["start"] for block in before)
    assert set(run.aftermath.facts().values()) == {(0, 0)}, run.aftermath.facts()
    assert main(["doctor"]) == 0
    assert f"on, where the log of shard {shard} begins" in capsys.readouterr().out


WRONG = {
    ("--since", "yesterday"): "yesterday is no time",
    ("--since", "2100-01-01"): "2100-01-01 is still to come",
    ("--from-offset", "-1"): "-1 is no offset",
    ("--from-offset", "9000000"): "no facts are written as far as journal offset 9000000",
    ("--shard", "0", "7"): "there is no shard 7: there are 0 to 2",
    ("--held", "--since", "1h"): "not allowed with",
}


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize("words", WRONG, ids=" ".join)
def test_a_wrong_argument_is_one_sentence(run: Run, words: Sequence[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", *words]) > 0
    error = capsys.readouterr().err
    assert WRONG[tuple(words)] in error
    assert error.count("\n") == 1
    assert run.stand.databases() == set()
