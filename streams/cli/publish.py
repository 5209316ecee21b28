"""`siyu publish`: JSON lines of behaviour events to the raw topics.

In: a file, or standard input. Out: Avro records on events.raw.<source>; what was refused, by line. Never: a bad line
that stops the good ones; an event counted before the broker has it.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from confluent_kafka import KafkaError, Producer

from schemas.codec import encode
from streams.cli.arguments import add_json
from streams.cli.failure import Failure
from streams.cli.lines import BadLine, Line, parse_line
from streams.cli.tables import print_json
from streams.settings import Settings
from streams.topics import MAX_RECORD_BYTES, RAW
from streams.worker.clients import admin, producer_config, registry_of, sentence
from streams.worker.topics import standing

NAME = "publish"
HELP = "JSON lines of events to the raw topics, as Avro"
EXAMPLE = "siyu publish events.jsonl --source miniprogram"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The file, and where its events go."""
    parser.add_argument("file", metavar="FILE.jsonl", help="one JSON object a line; - for standard input")
    told = "goes to events.raw.SOURCE (default: the event's touchpoint); a line's own `source` wins"
    parser.add_argument("--source", help=told)
    told = "a line's received_ms, else its event_time, becomes its time in Kafka (needs kafka.timestamps = create)"
    parser.add_argument("--simulated-time", action="store_true", help=told)
    add_json(parser)


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """0 when every line was published, 1 when some were refused."""
    if arguments.simulated_time and settings.kafka.timestamps != "create":
        raise Failure(
            "--simulated-time needs kafka.timestamps = create: topics that stamp records themselves ignore it"
        )
    publication = Publication(settings, arguments.source, arguments.simulated_time)
    with _opened(arguments.file) as file:
        _publish(file, arguments.file, publication)
    publication.finish()
    _print_counts(publication, arguments.json)
    return 1 if publication.refused else 0


def _publish(file: BinaryIO, name: str, publication: Publication) -> None:
    for number, line in _numbered(file):
        try:
            publication.take(line)
        except BadLine as error:
            publication.refused += 1
            print(f"{name}:{number}: {error}", file=sys.stderr)
        except Failure as failure:
            publication.finish()
            told = f"line {number}: {failure}; {publication.published} events were published before it"
            raise Failure(told) from None


class Publication:
    """Turns lines into records and counts what became of them. Raises BrokerUnavailable."""

    def __init__(self, settings: Settings, source: str | None, simulated_time: bool) -> None:
        self._topics = frozenset(standing(admin(settings.kafka), settings))
        self._schema_id = registry_of(settings).id_of("behaviour_event")
        self._producer = Producer(producer_config(settings.kafka))
        self._sources = settings.sources
        self._source = source
        self._simulated_time = simulated_time
        self.published = 0
        self.refused = 0
        self.lost: Counter[str] = Counter()

    def take(self, text: bytes) -> None:
        """Hands one line's event to the producer; waits while its queue is full. Raises BadLine."""
        line = parse_line(_decoded(text))
        topic = self._topic(line)
        value = _encoded(line, self._schema_id)
        while True:
            try:
                self._produce(topic, line, value)
                break
            except BufferError:
                self._producer.poll(0.1)
        self._producer.poll(0)

    def _produce(self, topic: str, line: Line, value: bytes) -> None:
        time_ms = (line.event["event_time"] if line.received_ms is None else line.received_ms) * self._simulated_time
        key = line.event["event_id"].encode()
        self._producer.produce(topic, key=key, value=value, timestamp=time_ms, on_delivery=self._delivered)

    def _delivered(self, error: KafkaError | None, _: object) -> None:
        if error is None:
            self.published += 1
        else:
            self.lost[sentence(error)] += 1

    def _topic(self, line: Line) -> str:
        source = line.source or self._source or line.event["touchpoint"]
        if source not in self._sources:
            known = ", ".join(self._sources)
            raise BadLine(f"{source!r} is no source: name one with --source or in the line, of {known}")
        if RAW + source not in self._topics:
            raise Failure(f"topic {RAW}{source} is missing: `siyu doctor --create` makes it")
        return RAW + source

    def finish(self) -> None:
        """Waits for the broker. Raises Failure when it has not taken all."""
        left = self._producer.flush(120)
        if self.lost or left:
            reason = self.lost.most_common(1)[0][0] if self.lost else "no answer"
            raise Failure(f"published {self.published} events, {self.lost.total() + left} were not taken: {reason}")


def _decoded(text: bytes) -> str:
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadLine(f"not UTF-8 at byte {error.start + 1}") from None


def _encoded(line: Line, schema_id: int) -> bytes:
    try:
        value = encode("behaviour_event", line.event, schema_id)
    except ValueError as error:
        raise BadLine(str(error)) from None
    if len(value) > MAX_RECORD_BYTES:
        raise BadLine(f"the event has {len(value)} bytes, at most {MAX_RECORD_BYTES} can be sent")
    return value


@contextmanager
def _opened(name: str) -> Iterator[BinaryIO]:
    if name == "-":
        yield sys.stdin.buffer
    else:
        with open(name, "rb") as file:
            yield file


def _numbered(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Lines with their numbers from 1, less empty ones and the byte order mark."""
    for number, line in enumerate(file, 1):
        text = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
        if text.strip():
            yield number, text.rstrip(b"\r\n")


def _print_counts(publication: Publication, as_json: bool) -> None:
    if as_json:
        print_json({"published": publication.published, "refused": publication.refused})
    else:
        events = "1 event" if publication.published == 1 else f"{publication.published} events"
        print(f"published {events}, refused {publication.refused}")
