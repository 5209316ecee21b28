"""What a worker process measures, kept in a Prometheus registry of its own and served as `/metrics`.

In: values by metric name and labels; other pages. Out: Prometheus text over HTTP. Never: a metric or a label that
`observe.catalogue` doesn't know; the process-wide default registry; a port open to others unless asked for.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
    make_wsgi_app,
)
from prometheus_client.metrics import MetricWrapperBase

from streams.observe.catalogue import METRICS, Metric

Labels = Mapping[str, str | int]
Pages = Mapping[str, Callable[[], tuple[int, str]]]
"""What answers a path: an HTTP status and a JSON text."""

_SHORT = {metric.name.removeprefix("siyu_").removesuffix("_total"): metric for metric in METRICS}
_BY_NAME = {metric.name: metric for metric in METRICS} | _SHORT


class UnknownMetric(LookupError):
    """Our own fault: the catalogue has no such metric of that kind, or other labels for it."""


class Telemetry:
    """The metrics of one process that runs `stage` (ingest, engine, sink, or several joined by `+`).

    Names may be given without `siyu_` and `_total`. Where a metric has the label `stage` and it isn't given, it is
    ours. A metric is served from its first use on: an engine says nothing of sinks. Thread-safe. A call costs some
    µs: call per batch, not per event.
    """

    def __init__(self, stage: str, version: str = "") -> None:
        self.stage = stage
        self.registry = CollectorRegistry()
        self._live: dict[str, MetricWrapperBase] = {}
        self._lock = threading.Lock()
        self._server: tuple[WSGIServer, threading.Thread] | None = None
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each, of no use
        self.set("up_timestamp_seconds", time.time())
        self.set("worker_info", 1, version=version)

    def count(self, name: str, amount: float = 1, **labels: str | int) -> None:
        """Adds to a counter. Raises UnknownMetric."""
        found = self._child(name, Counter, labels)
        assert isinstance(found, Counter)
        found.inc(amount)

    def observe(self, name: str, value: float, **labels: str | int) -> None:
        """Adds one observation to a histogram. Raises UnknownMetric."""
        found = self._child(name, Histogram, labels)
        assert isinstance(found, Histogram)
        found.observe(value)

    def set(self, name: str, value: float, **labels: str | int) -> None:
        """Sets a gauge. Raises UnknownMetric."""
        found = self._child(name, Gauge, labels)
        assert isinstance(found, Gauge)
        found.set(value)

    def forget(self, name: str, **labels: str | int) -> None:
        """Removes what was measured under these labels and any other ones: a shard went to another process."""
        metric = _find(name, labels, exact=False)
        if metric.labels and labels:
            self._metric(metric).remove_by_labels({label: str(value) for label, value in labels.items()})

    @contextmanager
    def timed(self, name: str, **labels: str | int) -> Iterator[None]:
        """Observes the seconds that the block took, also when it raises."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.observe(name, time.perf_counter() - began, **labels)

    def text(self) -> str:
        """What `/metrics` answers now."""
        return generate_latest(self.registry).decode()

    def serve(self, host: str = "127.0.0.1", port: int = 0, pages: Pages | None = None) -> int:
        """Serves `/metrics`, and these pages, until `stop`, from threads of its own; answers the port.

        Port 0 picks a free one.
        """
        self.stop()
        server = make_server(host, port, _with_pages(self.registry, pages or {}), _server_class(host, port), _Quiet)
        thread = threading.Thread(target=server.serve_forever, name="http", daemon=True)
        thread.start()
        self._server = server, thread
        return int(server.server_port)

    def stop(self) -> None:
        """Stops serving; safe to call twice."""
        if self._server is not None:
            server, thread = self._server
            server.shutdown()
            server.server_close()
            thread.join()
            self._server = None

    def _child(self, name: str, kind: type[MetricWrapperBase], labels: Labels) -> MetricWrapperBase:
        metric = _find(name, labels, exact=True)
        made = self._metric(metric)
        if not isinstance(made, kind):
            raise UnknownMetric(f"{metric.name} is a {metric.kind}")
        given = {"stage": self.stage, **labels}
        return made.labels(*(given[label] for label in metric.labels)) if metric.labels else made

    def _metric(self, metric: Metric) -> MetricWrapperBase:
        with self._lock:
            if metric.name not in self._live:
                self._live[metric.name] = _made(metric, self.registry)
            return self._live[metric.name]


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """A page that was asked for is no news."""


class _Server(ThreadingMixIn, WSGIServer):
    """A page that takes long holds up no other, nor the end of the process."""

    daemon_threads = True


class _Server6(_Server):
    address_family = socket.AF_INET6


def _server_class(host: str, port: int) -> type[WSGIServer]:
    family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
    return _Server6 if family is socket.AF_INET6 else _Server


def _with_pages(registry: CollectorRegistry, pages: Pages) -> Callable[[dict[str, Any], Any], Iterable[bytes]]:
    metrics = make_wsgi_app(registry)

    def answer(asked: dict[str, Any], start: Any) -> Iterable[bytes]:
        page = pages.get(asked["PATH_INFO"])
        if page is None:
            found: Iterable[bytes] = metrics(asked, start)
            return found
        status, text = page()
        start(f"{status} {HTTPStatus(status).phrase}", [("Content-Type", "application/json; charset=utf-8")])
        return [text.encode()]

    return answer


def _find(name: str, labels: Labels, exact: bool) -> Metric:
    metric = _BY_NAME.get(name)
    if metric is None:
        raise UnknownMetric(f"{name} is not in the catalogue")
    missing = set(metric.labels) - labels.keys() - {"stage"} if exact else set()
    if missing or labels.keys() - set(metric.labels):
        raise UnknownMetric(f"{name} has the labels {', '.join(metric.labels) or 'none'}")
    return metric


def _made(metric: Metric, registry: CollectorRegistry) -> MetricWrapperBase:
    if metric.kind == "histogram":
        return Histogram(metric.name, metric.help, metric.labels, registry=registry, buckets=metric.buckets)
    made = Counter if metric.kind == "counter" else Gauge
    return made(metric.name, metric.help, metric.labels, registry=registry)
