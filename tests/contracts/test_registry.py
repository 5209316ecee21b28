"""One suite over every registry: the ids in the repository, a real server, and a stand-in for the API's documentation.

The real server is Apicurio Registry through its Confluent-compatible API; deploy/registry/fetch.sh puts it there. It is
not Confluent's own. The stand-in follows Confluent's documented API, and shows what a server in trouble does.
"""

from __future__ import annotations

import json
import os
import shutil
import ssl
import subprocess
import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.request import urlopen

import pytest

from schemas.codec import decode_one, encode
from schemas.confluent import ConfluentRegistry, Refused
from schemas.records import SUBJECTS
from schemas.registry import TOPICS, LocalRegistry, Registry, RegistryUnavailable, UnknownSchema
from schemas.released import schema
from schemas.resolution import plain
from streams.worker.servers.process import HOST, Server, ServerUnavailable, find_program, free_ports, running

BUILD = Path(__file__).resolve().parents[2] / "build" / "registry" / "apicurio"
PATH = "/apis/ccompat/v7"
DELIVERY = {
    "delivery_id": "1",
    "tenant": "t",
    "trigger_id": "2",
    "status": "sent",
    "channel": "sms",
    "time": 1,
    "detail": "",
}


def answers(server: Server) -> bool:
    try:
        with urlopen(f"http://{server.address}{PATH}/subjects", timeout=5) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def apicurio(folder: Path) -> Server:
    jar = next(BUILD.glob("apicurio-registry-app-*-runner.jar"), None)
    if jar is None:
        raise ServerUnavailable("Apicurio Registry is missing; run deploy/registry/fetch.sh")
    (port,) = free_ports(1)
    environment = {"QUARKUS_HTTP_HOST": HOST, "QUARKUS_HTTP_PORT": str(port)}
    command = [find_program("java", "a Java 17 runtime"), "-Xmx512m", "-XX:+UseSerialGC", "-jar", str(jar)]
    return Server("apicurio", command, folder, port, answers, environment=environment, start_within_s=120)


@pytest.fixture(scope="session")
def schema_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a real registry that speaks the Confluent API, empty when the session begins."""
    with ExitStack() as ending:
        try:
            server = ending.enter_context(running(apicurio(tmp_path_factory.mktemp("registry"))))
        except ServerUnavailable as unavailable:
            if os.environ.get("SIYU_REQUIRE_SERVERS") == "1":
                pytest.fail(f"SIYU_REQUIRE_SERVERS=1, but {unavailable}", pytrace=False)
            pytest.skip(str(unavailable))
        yield f"http://{server.address}{PATH}"


class StandIn(BaseHTTPRequestHandler):
    """The part of the documented API that we use, on dicts. `trouble` answers in its stead."""

    schemas: ClassVar[list[str]] = []
    subjects: ClassVar[dict[str, list[int]]] = {}
    configured: ClassVar[dict[str, str]] = {}
    asked: ClassVar[list[str]] = []
    trouble: ClassVar[tuple[int, bytes] | None] = None
    password: ClassVar[str] = ""

    def do_GET(self) -> None:
        self.answer(None)

    def do_POST(self) -> None:
        self.answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    do_PUT = do_POST  # noqa: N815

    def answer(self, body: Any) -> None:
        self.asked.append(f"{self.command} {self.path}")
        code, found = self.found(body)
        self.send_response(code)
        if 300 <= code < 400:
            self.send_header("Location", "/elsewhere")
        self.end_headers()
        self.wfile.write(found)

    def found(self, body: Any) -> tuple[int, bytes]:
        if self.trouble:
            return self.trouble
        if self.password and self.headers["Authorization"] != "Basic " + b64encode(self.password.encode()).decode():
            return 401, json.dumps({"error_code": 401, "message": "Unauthorized"}).encode()
        code, answer = self.route(self.path.split("/")[1:], body)
        return code, json.dumps(answer).encode()

    def route(self, path: list[str], body: Any) -> tuple[int, Any]:
        if path[:2] == ["schemas", "ids"]:
            known = 0 < int(path[2]) <= len(self.schemas)
            return (200, {"schema": self.schemas[int(path[2]) - 1]}) if known else missing(40403, "Schema not found")
        if path[0] == "config":
            self.configured[path[1]] = body["compatibility"]
            return 200, body
        if path[-1] == "versions":
            return self.register(path[1], body["schema"])
        if path[1] not in self.subjects:
            return missing(40401, "Subject not found")
        found = [one for one in self.subjects[path[1]] if self.schemas[one - 1] == body["schema"]]
        return (200, {"subject": path[1], "id": found[0]}) if found else missing(40403, "Schema not found")

    def register(self, subject: str, text: str) -> tuple[int, Any]:
        if subject == "incompatible-value":
            return 409, {"error_code": 409, "message": "Schema being registered is incompatible"}
        if text not in self.schemas:
            self.schemas.append(text)
        schema_id = self.schemas.index(text) + 1
        self.subjects.setdefault(subject, []).append(schema_id)
        return 200, {"id": schema_id}

    def log_message(self, format: str, *args: Any) -> None:
        pass


def missing(code: int, message: str) -> tuple[int, Any]:
    return 404, {"error_code": code, "message": message}


@pytest.fixture
def stand_in() -> Iterator[tuple[str, type[StandIn]]]:
    """The stand-in's address and its inside; a fresh one for each test."""
    fresh: dict[str, Any] = {
        "schemas": [],
        "subjects": {},
        "configured": {},
        "asked": [],
        "trouble": None,
        "password": "",
    }
    handler = type("Fresh", (StandIn,), fresh)
    server = ThreadingHTTPServer((HOST, 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://{HOST}:{server.server_address[1]}", handler
    server.shutdown()
    server.server_close()


@pytest.fixture(params=["local", "stand-in", pytest.param("real", marks=pytest.mark.servers)])
def registry(request: pytest.FixtureRequest) -> Registry:
    """Each registry, with our schemas registered."""
    if request.param == "local":
        return LocalRegistry()
    url = request.getfixturevalue("stand_in")[0] if request.param == "stand-in" else None
    remote = ConfluentRegistry(url or request.getfixturevalue("schema_registry"), timeout_s=30)
    remote.register()
    return remote


@pytest.mark.parametrize("subject", SUBJECTS)
def test_the_id_to_write_with_names_our_newest_version(registry: Registry, subject: str) -> None:
    assert plain(registry.writer(registry.id_of(subject))) == plain(schema(subject))


def test_subjects_have_different_ids(registry: Registry) -> None:
    assert len({registry.id_of(subject) for subject in SUBJECTS}) == len(SUBJECTS)


def test_the_same_id_gives_the_same_object(registry: Registry) -> None:
    schema_id = registry.id_of("trigger")
    assert registry.writer(schema_id) is registry.writer(schema_id)


@pytest.mark.parametrize("schema_id", [0, 987_654_321, 2**31 - 1, 2**31, 2**32 - 1])
def test_an_id_that_nobody_registered_is_unknown(registry: Registry, schema_id: int) -> None:
    with pytest.raises(UnknownSchema, match=str(schema_id)):
        registry.writer(schema_id)


def test_a_subject_that_there_is_not_is_unknown(registry: Registry) -> None:
    with pytest.raises(UnknownSchema, match="nonsense"):
        registry.id_of("nonsense")


def test_a_message_written_with_its_id_is_read_with_its_schema(registry: Registry) -> None:
    assert decode_one(encode("delivery", DELIVERY, registry.id_of("delivery")), registry) == DELIVERY


@pytest.mark.servers
def test_registering_again_changes_nothing_on_a_real_registry(schema_registry: str) -> None:
    first = ConfluentRegistry(schema_registry, timeout_s=30).register()
    assert ConfluentRegistry(schema_registry, timeout_s=30).register() == first
    assert first.keys() == TOPICS.keys()


@pytest.mark.servers
def test_a_real_registry_refuses_what_does_not_fit(schema_registry: str) -> None:
    registry = ConfluentRegistry(schema_registry, timeout_s=30)
    registry.register({"fits": "delivery"})
    with pytest.raises(Refused):
        registry.register({"fits": "trigger"})


@pytest.mark.servers
def test_a_real_registry_gives_a_foreign_writers_schema(schema_registry: str) -> None:
    foreign = {"type": "record", "name": "BehaviourEvent", "namespace": "com.brand", "fields": []}
    registry = ConfluentRegistry(schema_registry, timeout_s=30)
    answer = registry._ask("POST", "/subjects/foreign-value/versions", {"schema": json.dumps(foreign)})
    assert plain(registry.writer(answer["id"])) == foreign


def test_every_topic_stands_under_its_name_and_value(stand_in: tuple[str, type[StandIn]]) -> None:
    url, inside = stand_in
    ConfluentRegistry(url).register()
    assert inside.subjects.keys() == {f"{topic}-value" for topic in TOPICS}
    assert set(inside.configured.values()) == {"FULL_TRANSITIVE"}


def test_what_was_learnt_is_not_asked_for_again(stand_in: tuple[str, type[StandIn]]) -> None:
    url, inside = stand_in
    registry = ConfluentRegistry(url)
    registry.register()
    asked = len(inside.asked)
    for _ in range(3):
        registry.writer(registry.id_of("delivery"))
    assert len(inside.asked) - asked == 2


def test_an_unknown_id_is_asked_for_again_after_a_while(stand_in: tuple[str, type[StandIn]]) -> None:
    url, inside = stand_in
    now = [0.0]
    registry = ConfluentRegistry(url, clock=lambda: now[0])
    for now[0] in (0.0, 1.0, 9.0):
        with pytest.raises(UnknownSchema, match="schema id 1 is not in the registry"):
            registry.writer(1)
    assert len(inside.asked) == 1
    registry.register({"deliveries": "delivery"})
    now[0] = 11.0
    assert registry.writer(1)["name"] == "Delivery"


def test_a_subject_that_was_not_registered_says_for_which_topic(stand_in: tuple[str, type[StandIn]]) -> None:
    with pytest.raises(UnknownSchema, match="our newest delivery is not registered for topic deliveries"):
        ConfluentRegistry(stand_in[0]).id_of("delivery")


def test_a_schema_that_the_registry_refuses_is_not_registered(stand_in: tuple[str, type[StandIn]]) -> None:
    with pytest.raises(Refused, match="incompatible"):
        ConfluentRegistry(stand_in[0]).register({"incompatible": "delivery"})


FOREIGN = {
    '{"type": "array", "items": "string"}': "schema id 1 is not an Avro record",
    '"string"': "schema id 1 is not an Avro record",
    "syntax = proto3;": "schema id 1 is not an Avro record",
}


@pytest.mark.parametrize(("text", "why"), FOREIGN.items())
def test_a_schema_that_is_no_avro_record_is_unknown(stand_in: tuple[str, type[StandIn]], text: str, why: str) -> None:
    stand_in[1].schemas.append(text)
    with pytest.raises(UnknownSchema, match=why):
        ConfluentRegistry(stand_in[0]).writer(1)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ({"schemaType": "PROTOBUF", "schema": "x"}, "schema id 1 is PROTOBUF, not Avro"),
        ({"schema": '{"type": "record"}', "references": [{"name": "a"}]}, "schema id 1 refers to other schemas"),
    ],
)
def test_a_schema_that_we_cannot_use_says_why(
    stand_in: tuple[str, type[StandIn]], answer: dict[str, Any], why: str
) -> None:
    stand_in[1].trouble = (200, json.dumps(answer).encode())
    with pytest.raises(UnknownSchema, match=why):
        ConfluentRegistry(stand_in[0]).writer(1)


TROUBLE = {
    "an error of its own": (500, b'{"error_code": 50001, "message": "Error in the backend"}', "HTTP 500"),
    "a gateway's error": (502, b"<html>Bad gateway</html>", "HTTP 502"),
    "a wrong address": (404, b"<html>Not found</html>", "HTTP 404"),
    "another service": (404, b'{"detail": "Not Found"}', "HTTP 404"),
    "a redirect": (302, b"", "HTTP 302"),
    "no rights": (403, b'{"error_code": 40301, "message": "Forbidden"}', "refuses our credentials"),
    "a refusal of what was no offer": (422, b'{"error_code": 42201, "message": "Invalid"}', "HTTP 422"),
    "no JSON": (200, b"hello", "as a registry does"),
    "JSON of another kind": (200, b"[1]", "as a registry does"),
    "an answer without a schema": (200, b"{}", "without schema"),
}


@pytest.mark.parametrize(("code", "body", "why"), TROUBLE.values(), ids=TROUBLE.keys())
def test_a_server_in_trouble_is_unavailable_and_no_id_is_unknown_for_it(
    stand_in: tuple[str, type[StandIn]], code: int, body: bytes, why: str
) -> None:
    url, inside = stand_in
    registry = ConfluentRegistry(url)
    registry.register({"deliveries": "delivery"})
    inside.trouble = (code, body)
    with pytest.raises(RegistryUnavailable, match=why):
        registry.writer(1)
    inside.trouble = None
    assert registry.writer(1)["name"] == "Delivery"


def test_a_server_that_is_away_is_unavailable() -> None:
    (port,) = free_ports(1)
    with pytest.raises(RegistryUnavailable, match=f"the schema registry at http://{HOST}:{port} does not answer"):
        ConfluentRegistry(f"http://{HOST}:{port}").writer(1)


def test_the_next_address_is_asked_when_one_is_away(stand_in: tuple[str, type[StandIn]]) -> None:
    (port,) = free_ports(1)
    registry = ConfluentRegistry(f"http://{HOST}:{port}, {stand_in[0]}/")
    registry.register({"deliveries": "delivery"})
    assert registry.writer(registry.id_of("delivery"))["name"] == "Delivery"


def test_who_gives_the_right_password_is_let_in(stand_in: tuple[str, type[StandIn]]) -> None:
    url, inside = stand_in
    inside.password = "siyu:秘密"
    assert ConfluentRegistry(url, "siyu", "秘密").register({"deliveries": "delivery"}) == {"deliveries": 1}
    with pytest.raises(RegistryUnavailable, match="refuses our credentials"):
        ConfluentRegistry(url, "siyu", "wrong").writer(1)
    with pytest.raises(RegistryUnavailable, match="refuses our credentials"):
        ConfluentRegistry(url).writer(1)


@pytest.mark.parametrize("url", ["", "ftp://host", "file:///etc/hosts", "host:8081", "http://", "https://me:pw@host"])
def test_an_address_that_cannot_be_is_refused_at_once(url: str) -> None:
    with pytest.raises(ValueError, match="address must") as refused:
        ConfluentRegistry(url)
    assert "pw" not in str(refused.value)


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for 127.0.0.1 that vouches for itself, with its key in the same file."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is missing")
    path = tmp_path / "registry.pem"
    made = [
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=registry",
        "-addext",
        f"subjectAltName=IP:{HOST}",
    ]
    subprocess.run(
        [openssl, "req", "-x509", *made, "-keyout", path, "-out", f"{path}.crt"], check=True, capture_output=True
    )
    path.write_text(path.read_text() + Path(f"{path}.crt").read_text())
    return path


def test_over_tls_only_a_server_that_somebody_vouches_for_is_believed(certificate: Path) -> None:
    handler = type("Tls", (StandIn,), {"schemas": ['{"type": "record", "name": "A", "fields": []}'], "asked": []})
    server = ThreadingHTTPServer((HOST, 0), handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    url = f"https://{HOST}:{server.server_address[1]}"
    try:
        assert ConfluentRegistry(url, ca_file=str(certificate)).writer(1)["name"] == "A"
        with pytest.raises(RegistryUnavailable, match="CERTIFICATE_VERIFY_FAILED"):
            ConfluentRegistry(url).writer(1)
    finally:
        server.shutdown()
        server.server_close()
