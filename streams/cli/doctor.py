"""`siyu doctor`: checks what siyu needs, and says what to mend.

In: settings, and the servers that they name. Out: a line a finding; exit status 1 when something is to be mended.
Never: a change, but for `--create`, which makes what is missing; a secret.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from confluent_kafka import Producer

from sinks.sink import SinkUnavailable
from streams.cli.arguments import add_json
from streams.cli.failure import Failure
from streams.cli.query import answer_of
from streams.cli.tables import print_json
from streams.settings import Settings
from streams.topics import all_topics
from streams.worker import preflight
from streams.worker.clients import BrokerUnavailable, admin, producer_config, register, registry_of
from streams.worker.control import declare_sources
from streams.worker.preflight import Finding
from streams.worker.topics import create, misconfigured, standing

NAME = "doctor"
HELP = "checks everything that siyu needs, and says what to mend"
EXAMPLE = "siyu --config siyu.toml doctor"

_SALT_BYTES = 64


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Whether to make what is missing."""
    parser.add_argument("--create", action="store_true", help="make missing topics, register schemas, declare sources")
    add_json(parser)


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """0 when nothing is to be mended."""
    if arguments.create:
        create(settings)
        register(settings)
        declare_sources(settings, Producer(producer_config(settings.kafka)), registry_of(settings))
    bad = 0
    for finding in findings(settings):
        bad += not finding.good
        _print(finding, arguments.json)
    if bad:
        raise Failure(f"{bad} findings to mend" if bad > 1 else "one finding to mend")
    return 0


def findings(settings: Settings) -> Iterator[Finding]:
    """All of them, in the order in which they are best mended."""
    yield from _settings(settings)
    yield from preflight.findings(settings)
    yield from _configuration(settings)
    yield from _database(settings)


def _print(finding: Finding, as_json: bool) -> None:
    if as_json:
        print_json({name: getattr(finding, name) for name in ("about", "good", "sentence")})
    else:
        print(f"{'good' if finding.good else 'MEND'}  {finding.about}: {finding.sentence}")


def _settings(settings: Settings) -> Iterator[Finding]:
    wrong = list(_wrong_settings(settings))
    yield from (Finding("settings", False, text) for text in wrong)
    if not wrong:
        yield Finding("settings", True, f"{len(settings.tenants)} tenants, {len(settings.sources)} sources")


def _wrong_settings(settings: Settings) -> Iterator[str]:
    kafka, salt = settings.kafka, settings.salt.get_secret_value()
    if not settings.tenants:
        yield 'tenants is empty, so every event is refused: name the brands, such as tenants = ["acme"]'
    if not salt:
        yield "salt is empty, so hashes of ids can be guessed: set SIYU_SALT or SIYU_SALT_FILE, once and for good"
    if len(salt.encode()) > _SALT_BYTES:
        yield f"salt has {len(salt.encode())} bytes, at most {_SALT_BYTES} are allowed"
    if kafka.security_protocol.startswith("SASL") and not (kafka.username and kafka.password.get_secret_value()):
        yield "kafka.security_protocol asks for SASL: set kafka.username, and SIYU_KAFKA__PASSWORD_FILE"
    if kafka.ca_file and not Path(kafka.ca_file).is_file():
        yield f"kafka.ca_file is no file: {kafka.ca_file}"
    if settings.metrics_host not in ("127.0.0.1", "::1", "localhost"):
        yield f"metrics_host {settings.metrics_host} opens /metrics to others: only behind a firewall"


def _configuration(settings: Settings) -> Iterator[Finding]:
    """Settings of the topics that are there; a broker that does not answer was told of before."""
    client = admin(settings.kafka)
    with suppress(BrokerUnavailable):
        there = standing(client, settings)
        wrong = misconfigured(client, [topic for topic in all_topics(settings) if topic.name in there])
        yield from (Finding("topics", False, text) for text in wrong)


def _database(settings: Settings) -> Iterator[Finding]:
    embedded = settings.sink_url.startswith("chdb://")
    check = _embedded if embedded else preflight.database
    try:
        yield check(settings)
    except SinkUnavailable as error:
        yield Finding("database", False, str(error))
    except ValueError as error:
        yield Finding("database", False, f"{settings.sink_url}: {error}")


def _embedded(settings: Settings) -> Finding:
    folder = Path(settings.sink_url.removeprefix("chdb://"))
    if not folder.is_dir():
        return Finding("database", True, f"{folder} will be made by the sink at its first start")
    version = answer_of("SELECT version()", settings).rows[0][0]
    return Finding("database", True, f"embedded ClickHouse {version} in {folder}")
