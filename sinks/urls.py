"""One line of configuration names the place that facts go to.

In: `chdb:///folder`, `chdb://relative/folder`, `clickhouse://user@host:9440/?secure=1&ca=/path`. Out: a `Database`.
Never: a password in a URL, since URLs get printed; drivers that the URL doesn't need.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import ParseResult, parse_qs, urlparse

from sinks.sink import Database

if TYPE_CHECKING:
    from sinks.native import Address

_PORT = 9000
_SECURE_PORT = 9440


def open_sink(url: str, password: str = "") -> Database:
    """The database of this URL; a server is first spoken to at the first statement.

    Raises ValueError for a URL that we don't understand or that holds a password, SinkUnavailable as its place does.
    """
    parts = urlparse(url)
    if parts.scheme == "chdb" and (parts.netloc or parts.path.strip("/")):
        return _embedded(parts.netloc + parts.path)
    if parts.scheme == "clickhouse" and parts.hostname:
        return _native(parts, password)
    raise ValueError("a sink is chdb:///folder or clickhouse://user@host:port/?secure=1")


def _embedded(folder: str) -> Database:
    from sinks.embedded import EmbeddedSink  # noqa: PLC0415 loading chDB takes a second and 300 MB

    return EmbeddedSink(folder)


def _native(parts: ParseResult, password: str) -> Database:
    from sinks.native import NativeSink  # noqa: PLC0415 not needed by an embedded sink

    return NativeSink(_address(parts, password))


def _address(parts: ParseResult, password: str) -> Address:
    from sinks.native import Address  # noqa: PLC0415 as above

    if parts.password is not None:
        raise ValueError("a sink's URL must not hold a password: give it by the environment or a file")
    options = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    if unknown := set(options) - {"secure", "ca"}:
        raise ValueError(f"unknown in a sink's URL: {', '.join(sorted(unknown))}")
    secure = options.get("secure", "0") in {"1", "true"}
    port = parts.port or (_SECURE_PORT if secure else _PORT)
    user = parts.username or "default"
    return Address(parts.hostname or "", port, user, password, secure, options.get("ca", ""))
