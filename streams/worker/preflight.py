"""What must stand before a worker starts, and what `siyu doctor` looks at: one list of checks.

In: settings, and the servers that they name. Out: findings, each a sentence that says what to mend.
Never: a change of anything; a secret.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from typing import Final, NamedTuple

from schemas.registry import RegistryUnavailable, UnknownSchema
from sinks.migrations import ledger
from sinks.migrations.runner import State, discover, status
from sinks.sink import Database
from sinks.urls import open_sink
from streams.settings import Settings
from streams.topics import (
    CHANGELOG,
    DEADLETTER,
    JOURNAL,
    RESOLVED,
    Topic,
    all_topics,
    raw_topics,
)
from streams.worker.clients import BrokerUnavailable, admin, registry_of
from streams.worker.topics import Standing, differences, standing

STORE_FORMAT: Final = "1"
"""Of the folders with the engine's local state. A store of another format is not opened."""

_WRITES: Final = {
    "ingest": ("behaviour_event", "control", "identity_command", "delivery", "dead_letter"),
    "engine": ("identity_change", "trigger", "trigger_revoked", "decision", "dead_letter"),
    "sink": (),
}
"""The subjects that each role reads or writes by ids of the registry."""


_INTERNAL: Final = frozenset({JOURNAL, RESOLVED, CHANGELOG})


class Finding(NamedTuple):
    """What was looked at, whether it is good, and what to mend where it isn't.

    `passing`: it may pass while one waits; `away`: since a server does not answer.
    """

    about: str
    good: bool
    sentence: str
    passing: bool = False
    away: bool = False


def findings(settings: Settings, role: str = "") -> Iterator[Finding]:
    """What this role needs, without its database; all roles together where none is named."""
    for check in (_folder, _stores, _broker, _registry):
        yield from check(settings, role)


def _folder(settings: Settings, role: str) -> Iterator[Finding]:
    folder = settings.data.absolute()
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    good = there.is_dir() and os.access(there, os.W_OK | os.X_OK)
    yield Finding("data", good, f"{folder} can be written" if good else f"{there} can't be written: set `data`")


def _stores(settings: Settings, role: str) -> Iterator[Finding]:
    found = store_format(settings)
    if role not in ("", "engine") or not found:
        return
    folder = settings.data.absolute() / "state"
    if found == STORE_FORMAT:
        yield Finding("state", True, f"{folder} is of format {found}")
    else:
        told = f"{folder} is of format {found}, this siyu reads {STORE_FORMAT}"
        mend = "remove the folder (the changelog restores it), or start the siyu that wrote it"
        yield Finding("state", False, f"{told}: {mend}")


def store_format(settings: Settings) -> str:
    """The format of the local stores, "" where there are none; those from before it was written down have the first."""
    folder = settings.data / "state"
    try:
        return (folder / "FORMAT").read_text().strip()[:20]
    except FileNotFoundError:
        return "1" if any(folder.glob("shard-*")) else ""


def note_store_format(settings: Settings) -> None:
    """Writes down the format of the stores that are made from now on."""
    folder = settings.data / "state"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "FORMAT").write_text(f"{STORE_FORMAT}\n")


def topics_of(settings: Settings, role: str) -> list[Topic]:
    """The topics that this role reads or writes, and those between stages; all for no role."""
    raw = {*raw_topics(settings)}
    topics = all_topics(settings)
    if role == "ingest":
        return [topic for topic in topics if topic.name in raw | _INTERNAL | {DEADLETTER}]
    if role == "sink":
        return [topic for topic in topics if topic.name in _INTERNAL]
    return [topic for topic in topics if not role or topic.name not in raw]


def _broker(settings: Settings, role: str) -> Iterator[Finding]:
    try:
        there = standing(admin(settings.kafka), settings)
    except BrokerUnavailable as error:
        told = f"{error}: check kafka.bootstrap and kafka.security_protocol"
        yield Finding("broker", False, told, passing=True, away=True)
        return
    yield Finding("broker", True, f"{settings.kafka.bootstrap} answers, with {len(there)} topics")
    yield from _topics(settings, role, there)


def _topics(settings: Settings, role: str, there: dict[str, Standing]) -> Iterator[Finding]:
    wanted = topics_of(settings, role)
    missing = [topic.name for topic in wanted if topic.name not in there]
    if missing:
        told = f"{len(missing)} of {len(wanted)} are missing, such as {missing[0]}"
        yield Finding("topics", False, f"{told}: `siyu doctor --create` makes them", passing=True)
    counted = {topic.name for topic in wanted if not role or topic.name in _INTERNAL | {*raw_topics(settings)}}
    wrong = differences(settings, {name: there[name] for name in counted if name in there})
    yield from (Finding("topics", False, text) for text in wrong)
    if not missing and not wrong:
        yield Finding("topics", True, f"all {len(wanted)} are there, as settings want them")


def _registry(settings: Settings, role: str) -> Iterator[Finding]:
    place = settings.registry.url or "the package's own ids"
    subjects = _WRITES[role] if role else sorted({subject for each in _WRITES.values() for subject in each})
    try:
        registry = registry_of(settings)
        for subject in subjects:
            registry.id_of(subject)
    except UnknownSchema as error:
        told = f"{error.args[0]}: `siyu doctor --create` registers it"
        yield Finding("registry", False, told, passing=True)
    except RegistryUnavailable as error:
        yield Finding("registry", False, str(error), passing=True, away=True)
    except ValueError as error:
        yield Finding("registry", False, str(error))
    else:
        if subjects:
            yield Finding("registry", True, f"{place} knows our schemas")


def database(settings: Settings) -> Finding:
    """The ClickHouse server of these settings. Raises SinkUnavailable, and ValueError for an address that is none."""
    with closing(open_sink(settings.sink_url, settings.sink.password.get_secret_value())) as opened:
        return tables(opened)


def tables(opened: Database) -> Finding:
    """Whether the tables of a database are ours, as this program wants them. Raises SinkUnavailable."""
    version = ".".join(str(part) for part in opened.version)
    steps = status(opened)
    known = {migration.version for migration in discover()}
    newer = sorted(set(ledger.applied(opened)) - known)
    changed = [step.migration.name for step in steps if step.state is State.CHANGED]
    pending = [step.migration.name for step in steps if step.state is State.PENDING]
    if newer:
        told = f"it has migration {newer[-1]:04d}, this siyu knows up to {max(known):04d}"
        return Finding("database", False, f"{told}: start the siyu that made it, or a newer one")
    if changed:
        return Finding("database", False, f"migration {changed[0]} was changed after it was applied: restore its file")
    if pending:
        return Finding("database", False, f"{len(pending)} migrations are pending: `siyu migrate apply`", passing=True)
    return Finding("database", True, f"ClickHouse {version}, all migrations applied")
