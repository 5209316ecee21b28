"""What a worker measures: only what the catalogue knows, in a registry of its own."""

import time
from urllib.request import urlopen

import pytest

from streams.observe.catalogue import METRICS
from streams.worker.telemetry import Telemetry, UnknownMetric


@pytest.fixture
def telemetry() -> Telemetry:
    return Telemetry("engine", "1.0")


def test_a_count_is_served_under_its_full_name_and_our_stage(telemetry: Telemetry) -> None:
    telemetry.count("siyu_events_total", 3, outcome="accepted")
    telemetry.count("events", outcome="accepted")
    assert 'siyu_events_total{outcome="accepted",stage="engine"} 4.0' in telemetry.text()


def test_a_stage_that_is_given_wins(telemetry: Telemetry) -> None:
    telemetry.count("siyu_events_total", 1, outcome="accepted", stage="ingest")
    assert 'stage="ingest"' in telemetry.text()


def test_gauges_and_histograms_are_served(telemetry: Telemetry) -> None:
    telemetry.set("siyu_timers_pending", 7, shard=2)
    telemetry.observe("siyu_due_to_fired_seconds", 0.4)
    with telemetry.timed("siyu_batch_seconds"):
        time.sleep(0.001)
    text = telemetry.text()
    assert 'siyu_timers_pending{shard="2"} 7.0' in text
    assert 'siyu_due_to_fired_seconds_bucket{le="0.5"} 1.0' in text
    assert 'siyu_batch_seconds_count{stage="engine"} 1.0' in text


def test_what_was_never_measured_is_not_served(telemetry: Telemetry) -> None:
    assert "siyu_sink_available" not in telemetry.text()


@pytest.mark.parametrize(
    ("method", "name", "labels"),
    [
        ("count", "siyu_nonsense_total", {}),
        ("count", "siyu_events_total", {}),
        ("count", "siyu_events_total", {"outcome": "a", "person": "b"}),
        ("count", "siyu_timers_pending", {"shard": 0}),
        ("set", "siyu_events_total", {"outcome": "a"}),
        ("observe", "siyu_timers_pending", {"shard": 0}),
    ],
)
def test_what_the_catalogue_does_not_know_is_refused(
    telemetry: Telemetry, method: str, name: str, labels: dict[str, str | int]
) -> None:
    with pytest.raises(UnknownMetric):
        getattr(telemetry, method)(name, 1, **labels)


def test_a_shard_that_went_elsewhere_is_forgotten(telemetry: Telemetry) -> None:
    for shard in (1, 2):
        telemetry.set("siyu_state_entries", 5, shard=shard, table="nodes")
    telemetry.forget("siyu_state_entries", shard=1)
    assert 'shard="1"' not in telemetry.text()
    assert 'shard="2"' in telemetry.text()


def test_two_processes_count_for_themselves(telemetry: Telemetry) -> None:
    telemetry.count("siyu_events_total", 1, outcome="accepted")
    assert "siyu_events_total" not in Telemetry("sink").text()


def test_every_metric_of_the_catalogue_can_be_measured(telemetry: Telemetry) -> None:
    calls = {"counter": "count", "gauge": "set", "histogram": "observe"}
    for metric in METRICS:
        getattr(telemetry, calls[metric.kind])(metric.name, 1.0, **dict.fromkeys(metric.labels, "x"))
    text = telemetry.text()
    assert all(f"# TYPE {metric.name} {metric.kind}" in text for metric in METRICS)


@pytest.mark.enable_socket
def test_metrics_are_served_on_a_free_port_of_this_machine(telemetry: Telemetry) -> None:
    port = telemetry.serve()
    try:
        with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            assert b'siyu_worker_info{stage="engine",version="1.0"} 1.0' in answer.read()
    finally:
        telemetry.stop()
    telemetry.stop()
