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

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from schemas.records import SOURCES

PREFIX = "SIYU_"
Tenant = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]


class InvalidSettings(ValueError):
    """The configuration can't be taken; the message says where and why."""


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Kafka(_Frozen):
    """The broker. `transactions`: off where the broker does not isolate them (the embedded one)."""

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
    timestamps: Literal["append", "create"] = "append"


class Registry(_Frozen):
    """Where schemas are looked up: an empty url is the registry in the package."""

    url: str = ""
    username: str = ""
    password: SecretStr = SecretStr("")


class Ingest(_Frozen):
    """Batching: a frame leaves after `linger_ms` or at `max_rows`; a silent partition is waited for `patience_ms`."""

    linger_ms: Annotated[int, Field(ge=1, le=10_000)] = 30
    max_rows: Annotated[int, Field(ge=1, le=100_000)] = 8_000
    patience_ms: Annotated[int, Field(ge=10, le=600_000)] = 2_000
    idle_every_ms: Annotated[int, Field(ge=10, le=60_000)] = 200
    idle_margin_ms: Annotated[int, Field(ge=0, le=60_000)] = 50
    idle_progress: bool = True


class Engine(_Frozen):
    """Commits: one transaction takes frames for `commit_ms` or `commit_bytes`, whichever comes first."""

    commit_ms: Annotated[int, Field(ge=1, le=10_000)] = 100
    commit_bytes: Annotated[int, Field(ge=1, le=64_000_000)] = 4_000_000
    dedup_window_ms: Annotated[int, Field(ge=60_000)] = 86_400_000


class Sink(_Frozen):
    """Where facts go: `chdb:///folder` in this process, or `clickhouse://user@host:9000/?secure=1`."""

    url: str = "chdb://"
    password: SecretStr = SecretStr("")
    block_rows: Annotated[int, Field(ge=1, le=10_000_000)] = 100_000
    block_bytes: Annotated[int, Field(ge=1, le=256_000_000)] = 32_000_000
    block_ms: Annotated[int, Field(ge=1, le=60_000)] = 1_000


class Settings(_Frozen):
    """All of it. `data`: the folder for local state. `salt`: the secret that makes node hashes unguessable."""

    data: Path = Path("build/siyu")
    tenants: Annotated[tuple[Tenant, ...], Field(max_length=1_000)] = ()
    sources: tuple[Tenant, ...] = SOURCES
    salt: SecretStr = SecretStr("")
    metrics_host: str = "127.0.0.1"
    metrics_port: Annotated[int, Field(ge=0, le=65_535)] = 0
    kafka: Kafka = Kafka()
    registry: Registry = Registry()
    ingest: Ingest = Ingest()
    engine: Engine = Engine()
    sink: Sink = Sink()

    @property
    def sink_url(self) -> str:
        """The sink's url; the embedded one without a folder lives in the data folder."""
        return f"chdb://{(self.data / 'chdb').absolute()}" if self.sink.url == "chdb://" else self.sink.url

    @property
    def query_socket(self) -> Path:
        """Where the process that owns the embedded database answers queries."""
        return self.data / "query.sock"


def read_settings(file: Path | None, environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings of this file (if any) and these variables.

    Raises:
        InvalidSettings: the file is missing or no TOML, or a value is unknown or out of range.
    """
    try:
        values = tomllib.loads(file.read_text()) if file is not None else {}
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise InvalidSettings(f"{file}: {error}") from error
    for name, text in sorted(environment.items()):
        if name.startswith(PREFIX) and name.removeprefix(PREFIX).partition("__")[0].lower() in _TOP:
            _put(values, name.removeprefix(PREFIX).lower().split("__"), text)
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise InvalidSettings("; ".join(_sentence(problem) for problem in error.errors())) from error


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


_TOP = {*Settings.model_fields, "salt_file"}
_LISTS = {"tenants", "sources"}


def _put(values: dict[str, Any], path: list[str], text: str) -> None:
    *parents, last = path
    for parent in parents:
        values = values.setdefault(parent, {})
    if last.endswith("_file") and last != "ca_file":
        last, text = last.removesuffix("_file"), Path(text).read_text().strip()
    values[last] = [part.strip() for part in text.split(",") if part.strip()] if last in _LISTS else text


def _sentence(problem: Any) -> str:
    return f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}"
