"""Every setting, read once at start from `siyu.toml` and `SIYU_*` variables, and frozen.

In: a TOML file, the environment. Out: `Settings`. Never: a secret in `repr`; a default that opens a port to the world.

A variable's name is the path with two underscores: `SIYU_KAFKA__BOOTSTRAP=10.0.0.5:9092`. Variables win over the
file. Secrets come from variables, or from a file that `..._FILE` names.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from schemas.records import SOURCES, TRIGGERS

PREFIX = "SIYU_"
_SALT_BYTES = 64
_SECRETS = ("salt", "password")
_OF_TESTS = "SIYU_REQUIRE_SERVERS"
Tenant = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]


class InvalidSettings(ValueError):
    """The configuration can't be taken; the message says where and why."""


def _short_enough(salt: SecretStr) -> SecretStr:
    if len(salt.get_secret_value().encode()) > _SALT_BYTES:
        raise ValueError(f"at most {_SALT_BYTES} bytes are allowed")
    return salt


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Kafka(_Frozen):
    """The broker. `transactions`: off where the broker does not isolate them (the embedded one).

    `journal_days`: how far back a journal can be recorded and folded again; `resolved_days`: how far back facts can be
    replayed into the sink. 0 keeps them for ever.
    """

    bootstrap: str = "127.0.0.1:9092"
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    username: str = ""
    password: SecretStr = SecretStr("")
    ca_file: str = ""
    transactions: bool = True
    replication: Annotated[int, Field(ge=1, le=9)] = 1
    raw_partitions: Annotated[int, Field(ge=1, le=512)] = 4
    shards: Annotated[int, Field(ge=1, le=1024)] = 4
    journal_days: Annotated[int, Field(ge=0, le=3_660)] = 30
    resolved_days: Annotated[int, Field(ge=0, le=3_660)] = 30
    timestamps: Literal["append", "create"] = "append"


class Registry(_Frozen):
    """Where schemas are looked up: an empty url is the registry in the package."""

    url: str = ""
    username: str = ""
    password: SecretStr = SecretStr("")
    ca_file: str = ""


class Ingest(_Frozen):
    """Batching: a frame leaves after `linger_ms` or at `max_rows`; a silent partition is waited for `patience_ms`.

    `fuse_off`: topics of which any share may be refused; for one start, to get past bad records.
    """

    linger_ms: Annotated[int, Field(ge=1, le=10_000)] = 30
    max_rows: Annotated[int, Field(ge=1, le=100_000)] = 8_000
    patience_ms: Annotated[int, Field(ge=10, le=600_000)] = 2_000
    idle_every_ms: Annotated[int, Field(ge=10, le=60_000)] = 200
    idle_margin_ms: Annotated[int, Field(ge=0, le=60_000)] = 50
    idle_progress: bool = True
    fuse_off: tuple[str, ...] = ()


class Engine(_Frozen):
    """Commits: one transaction takes frames for `commit_ms` or `commit_bytes`, whichever comes first.

    `memory_rows`: of each table of ids at most twice as many are held in memory; 0: all are.
    """

    commit_ms: Annotated[int, Field(ge=1, le=10_000)] = 100
    commit_bytes: Annotated[int, Field(ge=1, le=64_000_000)] = 4_000_000
    dedup_window_ms: Annotated[int, Field(ge=60_000)] = 86_400_000
    memory_rows: Annotated[int, Field(ge=0)] = 0


class Sink(_Frozen):
    """Where facts go: `chdb:///folder` in this process, or `clickhouse://user@host:9000/?secure=1`."""

    url: str = "chdb://"
    password: SecretStr = SecretStr("")
    block_rows: Annotated[int, Field(ge=1, le=10_000_000)] = 100_000
    block_bytes: Annotated[int, Field(ge=1, le=256_000_000)] = 32_000_000
    block_ms: Annotated[int, Field(ge=1, le=60_000)] = 3_000


class Snapshots(_Frozen):
    """Of the engine's state: where they are kept (empty: `snapshots` in the data folder) and when one is due.

    `prune` deletes what they make unneeded of the changelog: without them, a state can't be restored any more.
    """

    enabled: bool = True
    url: str = ""
    every_rows: Annotated[int, Field(ge=1)] = 1_000_000
    every_s: Annotated[int, Field(ge=1)] = 3_600
    prune: bool = False

    @model_validator(mode="after")
    def _can_be(self) -> Snapshots:
        if self.prune and not (self.enabled and self.url):
            raise ValueError("prune needs snapshots, and a url that every engine worker reaches")
        if urlsplit(self.url).password:
            raise ValueError("the url holds a password: give it to the driver of the place in its own way")
        return self


class Worker(_Frozen):
    """The life of a worker process: when it gives up starting, working and ending. `stuck_after_s` 0: never.

    `most_faults`: records an hour at which our own code may raise before the worker ends.
    """

    start_within_s: Annotated[int, Field(ge=0, le=3_600)] = 60
    stuck_after_s: Annotated[int, Field(ge=0, le=86_400)] = 120
    shutdown_s: Annotated[int, Field(ge=1, le=3_600)] = 25
    most_faults: Annotated[int, Field(ge=0)] = 20


class Settings(_Frozen):
    """All of it. `sources`, `triggers`: names of the topics `events.raw.<source>` and `triggers.<name>`.

    `data`: the folder for local state. `salt`: the secret that makes node hashes unguessable.
    """

    data: Path = Path("build/siyu")
    tenants: Annotated[tuple[Tenant, ...], Field(max_length=1_000)] = ()
    sources: tuple[Tenant, ...] = SOURCES
    triggers: tuple[Tenant, ...] = TRIGGERS
    salt: Annotated[SecretStr, AfterValidator(_short_enough)] = SecretStr("")
    metrics_host: str = "127.0.0.1"
    metrics_port: Annotated[int, Field(ge=0, le=65_535)] = 0
    kafka: Kafka = Kafka()
    registry: Registry = Registry()
    ingest: Ingest = Ingest()
    engine: Engine = Engine()
    snapshots: Snapshots = Snapshots()
    sink: Sink = Sink()
    worker: Worker = Worker()

    @property
    def sink_url(self) -> str:
        """The sink's url; the embedded one without a folder lives in the data folder."""
        return f"chdb://{(self.data / 'chdb').absolute()}" if self.sink.url == "chdb://" else self.sink.url

    @property
    def snapshots_url(self) -> str:
        """The place of snapshots; the usual one is in the data folder."""
        return self.snapshots.url or str((self.data / "snapshots").absolute())

    @property
    def query_socket(self) -> Path:
        """Where the process that owns the embedded database answers queries."""
        return self.data / "query.sock"


def read_settings(file: Path | None, environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings of this file (if any) and these variables.

    Raises:
        InvalidSettings: the file is missing or no TOML, or a value is unknown or out of range.
    """
    values = _of_file(file) if file is not None else {}
    for name, text in sorted(environment.items()):
        if name.startswith(PREFIX) and name != _OF_TESTS:
            _put(values, name, text)
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise InvalidSettings("; ".join(_sentence(problem) for problem in error.errors())) from error


def _of_file(file: Path) -> dict[str, Any]:
    try:
        values = tomllib.loads(file.read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise InvalidSettings(f"{file}: {error}") from error
    for place, part in (("", values), *((f"{name}.", part) for name, part in values.items() if isinstance(part, dict))):
        for name in _SECRETS:
            if name in part:
                variable = f"{PREFIX}{place}{name}".upper().replace(".", "__")
                raise InvalidSettings(f"{file}: {place}{name} is a secret: set {variable} or {variable}_FILE instead")
    return values


def to_environment(settings: Settings) -> dict[str, str]:
    """The variables under which `read_settings` gives these settings again: for a child process. Holds secrets."""
    return dict(_flat(settings, PREFIX))


def _flat(part: BaseModel, prefix: str) -> Iterator[tuple[str, str]]:
    for name in type(part).model_fields:
        value = getattr(part, name)
        key = f"{prefix}{name.upper()}"
        if isinstance(value, BaseModel):
            yield from _flat(value, f"{key}__")
        elif isinstance(value, SecretStr):
            yield key, value.get_secret_value()
        else:
            yield key, ",".join(value) if isinstance(value, tuple) else str(value)


_LISTS = {"tenants", "sources", "triggers", "fuse_off"}


def _put(values: dict[str, Any], variable: str, text: str) -> None:
    *parents, last = variable.removeprefix(PREFIX).lower().split("__")
    for parent in parents:
        values = values.setdefault(parent, {})
        if not isinstance(values, dict):
            raise InvalidSettings(f"{variable}: {parent} is no group of settings")
    if last.removesuffix("_file") in _SECRETS and last.endswith("_file"):
        last, text = last.removesuffix("_file"), _secret(variable, Path(text))
    values[last] = [part.strip() for part in text.split(",") if part.strip()] if last in _LISTS else text


def _secret(variable: str, file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError as error:
        raise InvalidSettings(f"{variable}: {file} can't be read: {error.strerror}") from error


def _sentence(problem: Any) -> str:
    return f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}"
