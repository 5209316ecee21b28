"""Schema ids from a server that speaks the Confluent Schema Registry's REST API.

In: the server's address, credentials, our released schemas. Out: ids and schemas, remembered for good.
Never: a broken or wrong server taken for an unknown id: good messages would become dead letters; a redirect followed,
which would carry the password elsewhere; a subject deleted.

Our schemas stand under `<topic>-value`. An id names a schema, not a topic, so one id reads and writes all of them.
"""

from __future__ import annotations

import base64
import json
import ssl
import time
from collections.abc import Callable, Mapping
from http.client import HTTPException
from typing import Any, Final
from urllib.error import HTTPError
from urllib.parse import quote, urlsplit
from urllib.request import HTTPRedirectHandler, HTTPSHandler, Request, build_opener

from schemas.registry import TOPICS, RegistryUnavailable, UnknownSchema
from schemas.released import Schema, latest, text, versions

_CONTENT: Final = "application/vnd.schemaregistry.v1+json"
_GREATEST_ID: Final = 2**31 - 1
_UNKNOWN_FOR_S: Final = 10.0
_MOST_UNKNOWN: Final = 10_000
_LARGEST_ANSWER: Final = 16 << 20


class Refused(ValueError):
    """The registry will not take this schema: it says why."""


class _NotFound(LookupError):
    pass


class _NoRedirect(HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


class ConfluentRegistry:
    """A `schemas.registry.Registry` on a server. Blocks for up to `timeout_s` per address when it asks."""

    def __init__(
        self,
        url: str,
        username: str = "",
        password: str = "",
        *,
        ca_file: str | None = None,
        cert_file: str | None = None,
        key_file: str | None = None,
        timeout_s: float = 5.0,
        topics: Mapping[str, str] = TOPICS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`url` may be several addresses with commas between; they are asked in turn until one answers.

        `ca_file` names who vouches for the server (the system's authorities if None), `cert_file` and `key_file` are
        ours, for a server that asks. `clock` gives seconds.

        Raises:
            ValueError: an address is not http or https, or holds a user.
        """
        self._urls = [_checked(one) for one in url.split(",")]
        self._authorization = _basic(username, password)
        self._opener = build_opener(_NoRedirect, HTTPSHandler(context=_tls(ca_file, cert_file, key_file)))
        self._timeout_s = timeout_s
        self._topics = topics
        self._clock = clock
        self._ids: dict[str, int] = {}
        self._schemas: dict[int, Schema] = {}
        self._unknown: dict[int, tuple[float, str]] = {}

    def id_of(self, subject: str) -> int:
        """The id of our newest version, as registered for a topic of this subject.

        Raises:
            UnknownSchema: it is not registered, or no topic has this subject.
            RegistryUnavailable: no address answered as a registry does.
        """
        if subject not in self._ids:
            self._ids[subject] = self._lookup(subject)
        return self._ids[subject]

    def writer(self, schema_id: int) -> Schema:
        """The schema with this id. One that is not there is asked for again after ten seconds.

        Raises:
            UnknownSchema: the registry has no such id, or it is not an Avro record of one piece.
            RegistryUnavailable: no address answered as a registry does.
        """
        found = self._schemas.get(schema_id)
        if found is None:
            self._raise_if_unknown(schema_id)
            found = self._schemas[schema_id] = self._fetch(schema_id)
        return found

    def register(self, topics: Mapping[str, str] | None = None) -> dict[str, int]:
        """Every released version for each topic, oldest first, FULL_TRANSITIVE from then on; the newest's id by topic.

        What is there already stays as it is, so this may be done again. `topics` has the subject of each (None: those
        given to the registry).

        Raises:
            Refused: the registry holds another schema for a topic, which ours does not fit.
            RegistryUnavailable: no address answered as a registry does.
        """
        return {topic: self._register(topic, subject) for topic, subject in (topics or self._topics).items()}

    def _register(self, topic: str, subject: str) -> int:
        name = _subject_name(topic)
        schema_id = 0
        for version in versions(subject):
            answer = self._ask("POST", f"/subjects/{name}/versions", {"schema": text(subject, version)})
            schema_id = _whole(answer, "id")
        self._ask("PUT", f"/config/{name}", {"compatibility": "FULL_TRANSITIVE"})
        return schema_id

    def _lookup(self, subject: str) -> int:
        topic = next((topic for topic, one in self._topics.items() if one == subject), None)
        if topic is None:
            raise UnknownSchema(f"no topic carries {subject!r}")
        try:
            answer = self._ask("POST", f"/subjects/{_subject_name(topic)}", {"schema": text(subject, latest(subject))})
        except (_NotFound, Refused):
            raise UnknownSchema(
                f"our newest {subject} is not registered for topic {topic}: register it first"
            ) from None
        return _whole(answer, "id")

    def _fetch(self, schema_id: int) -> Schema:
        try:
            if schema_id > _GREATEST_ID:
                raise _NotFound
            return _avro(self._ask("GET", f"/schemas/ids/{schema_id}"))
        except _NotFound as error:
            reason = str(error) or "is not in the registry"
        if len(self._unknown) >= _MOST_UNKNOWN:
            self._unknown.clear()
        self._unknown[schema_id] = (self._clock(), reason)
        raise UnknownSchema(f"schema id {schema_id} {reason}")

    def _raise_if_unknown(self, schema_id: int) -> None:
        since, reason = self._unknown.get(schema_id, (0.0, ""))
        if reason and self._clock() - since < _UNKNOWN_FOR_S:
            raise UnknownSchema(f"schema id {schema_id} {reason}")

    def _ask(self, method: str, path: str, body: dict[str, str] | None = None) -> dict[str, Any]:
        """The answer of the first address that gives one."""
        reasons = []
        for url in self._urls:
            try:
                return self._ask_one(url, method, path, body)
            except RegistryUnavailable as error:
                reasons.append(str(error))
        raise RegistryUnavailable("; ".join(reasons))

    def _ask_one(self, url: str, method: str, path: str, body: dict[str, str] | None) -> dict[str, Any]:
        headers = {"Accept": f"{_CONTENT}, application/json", "Content-Type": _CONTENT, **self._authorization}
        data = None if body is None else json.dumps(body).encode()
        request = Request(url + path, data, headers, method=method)
        try:
            with self._opener.open(request, timeout=self._timeout_s) as response:
                return _answer(url, response.read(_LARGEST_ANSWER))
        except HTTPError as error:
            raise _meaning(url, method, error) from None
        except (OSError, HTTPException) as error:
            raise RegistryUnavailable(f"the schema registry at {url} does not answer: {error}") from None


def _meaning(url: str, method: str, error: HTTPError) -> Exception:
    """What an HTTP error says: only an answer with a registry's error code is the registry's word on the matter."""
    with error:
        problem = _error(error.read(_LARGEST_ANSWER))
    if problem is not None and error.code == 404:
        return _NotFound()
    if problem is not None and error.code in (409, 422) and method != "GET":
        return Refused(f"the schema registry at {url} refuses the schema: {problem.get('message')}")
    told = "refuses our credentials" if error.code in (401, 403) else "does not answer as a registry does"
    return RegistryUnavailable(f"the schema registry at {url} {told} (HTTP {error.code})")


def _error(body: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(body)
    except ValueError:
        return None
    return found if isinstance(found, dict) and isinstance(found.get("error_code"), int) else None


def _answer(url: str, body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise RegistryUnavailable(f"the schema registry at {url} does not answer as a registry does")
    return found


def _whole(answer: dict[str, Any], name: str) -> int:
    if not isinstance(answer.get(name), int):
        raise RegistryUnavailable(f"the schema registry answered without {name}")
    return int(answer[name])


def _avro(answer: dict[str, Any]) -> Schema:
    """The record schema of an answer, or `_NotFound` with what it is instead."""
    kind, written = answer.get("schemaType", "AVRO"), answer.get("schema")
    if not isinstance(written, str):
        raise RegistryUnavailable("the schema registry answered without schema")
    if kind != "AVRO" or answer.get("references"):
        raise _NotFound("refers to other schemas" if kind == "AVRO" else f"is {kind}, not Avro")
    try:
        found = json.loads(written)
    except ValueError:
        found = None
    if not isinstance(found, dict) or found.get("type") != "record":
        raise _NotFound("is not an Avro record")
    return found


def _checked(url: str) -> str:
    parts = urlsplit(url.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("the schema registry's address must begin with http:// or https:// and name a host")
    if "@" in parts.netloc:
        raise ValueError("the schema registry's address must not hold a user: give username and password beside it")
    return url.strip().rstrip("/")


def _basic(username: str, password: str) -> dict[str, str]:
    if not username:
        return {}
    return {"Authorization": "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()}


def _tls(ca_file: str | None, cert_file: str | None, key_file: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=ca_file)
    if cert_file is not None:
        context.load_cert_chain(cert_file, key_file)
    return context


def _subject_name(topic: str) -> str:
    return quote(f"{topic}-value", safe="")
