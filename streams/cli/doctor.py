"""`siyu doctor`: checks what siyu needs, and says what to mend.

In: settings, and the servers that they name. Out: a line a finding; exit status 1 when something is to be mended.
Never: a change, but for `--create`, which makes what is missing; a secret.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from confluent_kafka import Producer

from schemas.registry import RegistryUnavailable, UnknownSchema
from sinks.migrations.runner import State, status
from sinks.sink import SinkUnavailable
from sinks.urls import open_sink
from streams.cli.arguments import add_json
from streams.cli.failure import Failure
from streams.cli.query import answer_of
from streams.cli.tables import print_json
from streams.settings import Settings
from streams.topics import all_topics
from streams.worker.clients import BrokerUnavailable, admin, producer_config, register, registry_of
from streams.worker.control import declare_sources
from streams.worker.topics import create, differences, misconfigured, standing

NAME = "doctor"
HELP = "checks everything that siyu needs, and says what to mend"
EXAMPLE = "siyu --config siyu.toml doctor"

_SALT_BYTES = 64
_SUBJECTS = ("behaviour_event", "control", "trigger", "decision", "dead_letter")


class Finding(NamedTuple):
    """What was looked at, whether it is good, and what to mend where it isn't."""

    about: str
    good: bool
    sentence: str


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
    for check in (_settings, _folder, _broker, _registry, _database):
        yield from check(settings)


def _print(finding: Finding, as_json: bool) -> None:
    if as_json:
        print_json(finding._asdict())
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


def _folder(settings: Settings) -> Iterator[Finding]:
    folder = settings.data.absolute()
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    good = there.is_dir() and os.access(there, os.W_OK | os.X_OK)
    yield Finding("data", good, f"{folder} can be written" if good else f"{there} can't be written: set `data`")


def _broker(settings: Settings) -> Iterator[Finding]:
    try:
        there = standing(admin(settings.kafka), settings)
        yield Finding("broker", True, f"{settings.kafka.bootstrap} answers, with {len(there)} topics")
        yield from _topics(settings, set(there), differences(settings, there))
    except BrokerUnavailable as error:
        yield Finding("broker", False, f"{error}: check kafka.bootstrap and kafka.security_protocol")


def _topics(settings: Settings, there: set[str], different: list[str]) -> Iterator[Finding]:
    wanted = all_topics(settings)
    missing = [topic.name for topic in wanted if topic.name not in there]
    if missing:
        told = f"{len(missing)} of {len(wanted)} are missing, such as {missing[0]}"
        yield Finding("topics", False, f"{told}: `siyu doctor --create` makes them")
    wrong = different + misconfigured(admin(settings.kafka), [topic for topic in wanted if topic.name in there])
    yield from (Finding("topics", False, text) for text in wrong)
    if not missing and not wrong:
        yield Finding("topics", True, f"all {len(wanted)} are there, as settings want them")


def _registry(settings: Settings) -> Iterator[Finding]:
    place = settings.registry.url or "the package's own ids"
    try:
        registry = registry_of(settings)
        for subject in _SUBJECTS:
            registry.id_of(subject)
        yield Finding("registry", True, f"{place} knows our schemas")
    except UnknownSchema as error:
        yield Finding("registry", False, f"{error.args[0]}: `siyu doctor --create` registers it")
    except (RegistryUnavailable, ValueError) as error:
        yield Finding("registry", False, str(error))


def _database(settings: Settings) -> Iterator[Finding]:
    embedded = settings.sink_url.startswith("chdb://")
    check = _embedded if embedded else _server
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


def _server(settings: Settings) -> Finding:
    with closing(open_sink(settings.sink_url, settings.sink.password.get_secret_value())) as database:
        version = ".".join(str(part) for part in database.version)
        steps = status(database)
    changed = [step.migration.name for step in steps if step.state is State.CHANGED]
    pending = [step.migration.name for step in steps if step.state is State.PENDING]
    if changed:
        return Finding("database", False, f"migration {changed[0]} was changed after it was applied: restore its file")
    if pending:
        return Finding("database", False, f"{len(pending)} migrations are pending: `siyu migrate apply`")
    return Finding("database", True, f"ClickHouse {version}, all migrations applied")
