"""Readers that know nothing of ours but the published schemas read what the engine's own producer wrote to Kafka."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import fastavro
import pytest
from confluent_kafka import Producer

from schemas.codec import encode
from schemas.frames import Resolved
from schemas.registry import LocalRegistry
from streams.engage.records import Public
from streams.engine import Outputs
from streams.settings import Kafka, Settings
from streams.topics import TRIGGERS
from streams.worker.clients import producer_config
from streams.worker.output import Output
from streams.worker.servers import Server
from streams.worker.state.changelog import Commit
from streams.worker.topics import create

pytestmark = pytest.mark.servers

SCHEMAS = Path(__file__).parents[2] / "schemas"
CLIENT = Path(__file__).parents[2] / "deploy" / "clients" / "node"
REGISTRY = LocalRegistry()
TOPIC = TRIGGERS + "outside"


class Written(NamedTuple):
    """A broker, and the triggers that were committed there, by id."""

    bootstrap: str
    triggers: dict[str, dict[str, Any]]


def _trigger(number: int) -> dict[str, Any]:
    scope = "wx1" if number % 2 else None
    return {
        "trigger_id": f"{number:032x}",
        "tenant": "t1",
        "rule": "unpaid-order-coupon",
        "rule_version": 1,
        "step": "",
        "one_id": f"person-{number % 7}",
        "business_key": f"order-{number}",
        "due_time": 1_700_000_000_000 + number,
        "fired_time": 1_700_000_000_123 + number,
        "cause": [f"event-{number}", "event-券"],
        "channel": "sms",
        "recipient": {"kind": "openid" if scope else "phone", "scope": scope, "value": f"o-{number}"},
        "content": {"template": "unpaid", "coupon_fen": "1000"},
        "expires_time": 1_700_086_400_000,
        "arm": "treatment",
        "late_sources": ["pos"] if number % 3 else [],
    }


@pytest.fixture(scope="module")
def written(kafka: Server, tmp_path_factory: pytest.TempPathFactory) -> Written:
    """Two commits of the engine's own output, and between them one that was taken back."""
    near = Kafka(bootstrap=kafka.address, shards=1)
    settings = Settings(data=tmp_path_factory.mktemp("outside"), tenants=("t1",), triggers=("outside",), kafka=near)
    create(settings)
    triggers = [_trigger(number) for number in range(400)]
    output = Output(0, settings.kafka, REGISTRY)
    output.commit([_outputs(triggers[:250])], Commit(1, []))
    _take_back(settings, _trigger(9_999))
    output.commit([_outputs(triggers[250:])], Commit(2, []))
    output.close()
    return Written(kafka.address, {trigger["trigger_id"]: trigger for trigger in triggers})


def _outputs(triggers: list[dict[str, Any]]) -> Outputs:
    public = [Public(TOPIC, trigger["one_id"], "trigger", trigger) for trigger in triggers]
    return Outputs(Resolved(0, 0, 0, {}), public)


def _take_back(settings: Settings, trigger: dict[str, Any]) -> None:
    producer = Producer(producer_config(settings.kafka, f"outside-{uuid.uuid4().hex}"))
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce(TOPIC, encode("trigger", trigger, REGISTRY.id_of("trigger")))
    producer.flush(30)
    producer.abort_transaction(30)


def _program(name: str, needs: Path | None = None) -> str:
    """The program, or a skip that says how to get it; a failure where servers are required."""
    found = shutil.which(name)
    if found is not None and (needs is None or needs.is_dir()):
        return found
    told = f"{name if found is None else needs} is missing: `make servers` installs it"
    if os.environ.get("SIYU_REQUIRE_SERVERS") == "1":
        pytest.fail(f"SIYU_REQUIRE_SERVERS=1, but {told}", pytrace=False)
    pytest.skip(told)


def test_kcat_and_the_schema_file_read_what_was_committed(written: Written) -> None:
    command = [_program("kcat"), "-C", "-q", "-e", "-b", written.bootstrap, "-t", TOPIC, "-o", "beginning"]
    command += ["-X", "isolation.level=read_committed", "-f", "%R%s"]
    done = subprocess.run(command, capture_output=True, check=True, timeout=60)
    read = {trigger["trigger_id"]: trigger for trigger in _decoded(done.stdout)}
    assert read == written.triggers


def _decoded(output: bytes) -> Iterator[dict[str, Any]]:
    """Each value comes after its length; it is the Confluent wire format, and the file of the id decodes it."""
    published = json.loads((SCHEMAS / "registry.json").read_text())
    files = {one["id"]: SCHEMAS / "avro" / one["subject"] / f"v{one['version']}.avsc" for one in published}
    stream = io.BytesIO(output)
    while size := int.from_bytes(stream.read(4)):
        value = io.BytesIO(stream.read(size))
        assert value.read(1) == b"\0"
        schema = _plain(json.loads(files[int.from_bytes(value.read(4))].read_text()))
        record = fastavro.schemaless_reader(value, schema, None)
        assert isinstance(record, dict)
        yield record


def _plain(schema: Any) -> Any:
    """The schema without logical types: times stay the numbers that they are on the wire."""
    if isinstance(schema, dict):
        return {name: _plain(value) for name, value in schema.items() if name != "logicalType"}
    return [_plain(one) for one in schema] if isinstance(schema, list) else schema


def test_a_node_client_from_npm_reads_what_was_committed(written: Written) -> None:
    node = _program("node", CLIENT / "node_modules")
    command = [node, str(CLIENT / "read.mjs"), "--broker", written.bootstrap, "--topic", TOPIC]
    command += ["--schemas", str(SCHEMAS), "--group", f"outside-{uuid.uuid4().hex}"]
    command += ["--count", str(len(written.triggers))]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert {trigger["trigger_id"]: trigger for trigger in lines} == written.triggers
