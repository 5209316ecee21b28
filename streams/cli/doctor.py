"""`siyu doctor`: checks what siyu needs, and says what to mend.

In: settings, and the servers that they name. Out: a line a finding; exit status 1 when something is to be mended.
Never: a change, but for `--create`, which makes what is missing; a secret.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from confluent_kafka import Producer

from sinks.audit import block_tables, differences
from sinks.sink import Answer, SinkUnavailable
from streams.cli.arguments import add_json
from streams.cli.failure import Failure
from streams.cli.query import answer_of
from streams.cli.tables import print_json
from streams.cli.waiting import waits
from streams.settings import Settings
from streams.topics import JOURNAL, RESOLVED, all_topics
from streams.worker import preflight
from streams.worker.clients import BrokerUnavailable, admin, producer_config, register, registry_of
from streams.worker.control import declare_sources, first_of
from streams.worker.preflight import Finding
from streams.worker.shardlog import held, time_text
from streams.worker.topics import create, misconfigured, standing

NAME = "doctor"
HELP = "checks everything that siyu needs, and says what to mend"
EXAMPLE = "siyu --config siyu.toml doctor"

_SALT_BYTES = 64
_MOST_TOLD = 5


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
    yield from _log(settings)
    with suppress(BrokerUnavailable):
        yield from waits(settings)


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
        yield (found := check(settings))
        if found.good:
            yield from _facts(settings)
    except SinkUnavailable as error:
        yield Finding("database", False, str(error))
    except ValueError as error:
        yield Finding("database", False, f"{settings.sink_url}: {error}")


def _embedded(settings: Settings) -> Finding:
    folder = settings.sink_url.removeprefix("chdb://")
    if _is_to_be_made(settings):
        return Finding("database", True, f"{folder} will be made by the sink at its first start")
    version = answer_of("SELECT version()", settings).rows[0][0]
    return Finding("database", True, f"embedded ClickHouse {version} in {folder}")


def _is_to_be_made(settings: Settings) -> bool:
    return settings.sink_url.startswith("chdb://") and not Path(settings.sink_url.removeprefix("chdb://")).is_dir()


def _facts(settings: Settings) -> Iterator[Finding]:
    """Whether the tables hold what their ledger says. Raises SinkUnavailable."""
    asked = _Asked(settings)
    if _is_to_be_made(settings) or not block_tables(asked):
        return
    first = set(differences(asked))
    wrong = sorted(first.intersection(differences(asked))) if first else []  # a sink may be writing meanwhile
    yield from (Finding("facts", False, f"{one}: `siyu replay` writes them anew") for one in wrong[:_MOST_TOLD])
    if len(wrong) > _MOST_TOLD:
        yield Finding("facts", False, f"and {len(wrong) - _MOST_TOLD} more such blocks, at least")
    if not wrong:
        yield Finding("facts", True, "each block has the rows that the ledger notes")


class _Asked:
    """The database of these settings, whoever owns it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> Answer:
        """See `answer_of`; there are no parameters here."""
        return answer_of(sql, self._settings)


def _log(settings: Settings) -> Iterator[Finding]:
    """How far back facts can be replayed; a broker that does not answer was told of before."""
    with suppress(BrokerUnavailable):
        resolved, journal = first_of(settings, RESOLVED), first_of(settings, JOURNAL)
        holds = [held(settings, shard, resolved[shard], journal.get(shard, -1)) for shard in sorted(resolved)]
        begins = {has.shard: has.since_ms for has in holds if not has.whole and has.resolved is not None}
        told = "from the first event on"
        if begins:
            shard = max(begins, key=begins.__getitem__)
            told = f"from {time_text(begins[shard])} on, where the log of shard {shard} begins"
        yield Finding("replay", True, f"facts can be replayed {told}")
