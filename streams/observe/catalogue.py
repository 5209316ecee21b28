"""Every metric as data: what exists, what it means, by which labels it is told apart.

In: nothing. Out: `METRICS`; the text of docs/metrics.md. Never: a measured value, a metrics client.

Names follow Prometheus: prefix `siyu_`, base units, counters end in `_total`. Each worker process serves its own
registry, so a sum over processes counts nothing twice; labels hold words that we choose, never an id of a person.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Kind = Literal["counter", "gauge", "histogram"]
Unit = Literal["", "seconds", "bytes"]

FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Seconds of work on a batch."""

LATENCY = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0)
"""Seconds from one end of the pipeline to the other: fine around one second, and able to show an outage."""

ROWS = (1.0, 10.0, 100.0, 500.0, 1_000.0, 2_000.0, 4_000.0, 8_000.0, 16_000.0, 32_000.0, 100_000.0, 1_000_000.0)


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric: `name` in full, `help` one sentence, `labels` in order, `buckets` of a histogram."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    unit: Unit = ""


LABELS = {
    "stage": "the stage that serves it: ingest, engine, sink",
    "outcome": "accepted, duplicate, erased, repeated, rejected",
    "topic": "a Kafka topic",
    "partition": "a partition of it",
    "shard": "a journal partition; each tenant is in one",
    "kind": (
        "of a change: linked, merged, refused, held, released, rejected, unlinked, erased; "
        "of an id set aside: phone, openid and so on"
    ),
    "reason": "an enumerated word, as in the record that it counts",
    "rule": "name of the rule",
    "channel": "how it is sent",
    "step": "of a journey",
    "verdict": "sent, deferred, suppressed, revoked, converted",
    "status": "accepted, sent, opened, clicked, redeemed, failed, unsubscribed",
    "table": "a table of engine state, or of ClickHouse",
    "group": "sources that a rule waits for, joined by commas; empty for all that carry events",
    "source": "a raw topic without `events.raw.`, a slash, its partition",
    "part": "of a restore: store (the local one), snapshot, changelog",
    "state": "opening, working, waiting (for something outside), halted (see its log)",
    "version": "of siyu-streams",
}
"""What each label may hold."""

_EVENTS = (
    Metric("siyu_events_total", "counter", "Events by what became of them.", ("stage", "outcome")),
    Metric("siyu_dead_letters_total", "counter", "Records refused, by reason.", ("stage", "reason")),
    Metric("siyu_records_total", "counter", "Raw records read from Kafka.", ("topic",)),
    Metric("siyu_batch_events", "histogram", "Events of one batch.", ("stage",), ROWS),
    Metric("siyu_batch_seconds", "histogram", "Time that one batch took.", ("stage",), FAST, "seconds"),
    Metric("siyu_commits_total", "counter", "Commits (transactions, or offsets of ingest).", ("stage",)),
    Metric("siyu_commit_seconds", "histogram", "Time that one commit took.", ("stage",), FAST, "seconds"),
    Metric("siyu_faults_total", "counter", "Times that our own code raised at an item: look at the log.", ("stage",)),
)

_LAG = (
    Metric("siyu_lag_records", "gauge", "Records that are not taken yet.", ("stage", "topic", "partition")),
    Metric(
        "siyu_lag_seconds",
        "gauge",
        "Age, in event time, of the newest record that was taken.",
        ("stage", "topic", "partition"),
        unit="seconds",
    ),
    Metric(
        "siyu_progress_timestamp_seconds",
        "gauge",
        "The shard's furthest progress, as a Unix time.",
        ("stage", "shard"),
        unit="seconds",
    ),
    Metric(
        "siyu_clock_held_seconds",
        "gauge",
        "How far this source keeps the clock of a group of sources behind the furthest progress.",
        ("shard", "group", "source"),
        unit="seconds",
    ),
    Metric("siyu_sources_silent", "gauge", "Members of the source set that were never heard of.", ("shard",)),
    Metric(
        "siyu_event_to_decision_seconds",
        "histogram",
        "From reading the event in ingest to the decision's commit.",
        buckets=LATENCY,
        unit="seconds",
    ),
    Metric(
        "siyu_due_to_fired_seconds",
        "histogram",
        "From the instant that the condition became true to the firing, on the clock of the journal.",
        buckets=LATENCY,
        unit="seconds",
    ),
)

_IDENTITY = (
    Metric("siyu_identity_changes_total", "counter", "Links, merges, refusals and the like, by kind.", ("kind",)),
    Metric("siyu_ids_set_aside_total", "counter", "Ids of accepted events that name nobody.", ("kind", "reason")),
    Metric("siyu_persons", "gauge", "Persons known.", ("shard",)),
    Metric("siyu_suspects", "gauge", "Values that are suspected or rejected: their links are held.", ("shard",)),
)

_ENGAGE = (
    Metric("siyu_triggers_total", "counter", "Triggers sent.", ("rule", "channel")),
    Metric("siyu_triggers_revoked_total", "counter", "Triggers revoked.", ("rule", "reason")),
    Metric("siyu_decisions_total", "counter", "Decisions, also not to send.", ("rule", "verdict", "reason")),
    Metric("siyu_deliveries_total", "counter", "Receipts from downstream.", ("status",)),
    Metric("siyu_timers_pending", "gauge", "Timers that are not due yet.", ("shard",)),
    Metric(
        "siyu_waits_held",
        "gauge",
        "Waits whose time has passed on the furthest source, and that this source holds back.",
        ("shard", "rule", "source"),
    ),
    Metric("siyu_journey_standing", "gauge", "Persons inside a journey, by step.", ("shard", "rule", "step")),
    Metric("siyu_controls_refused_total", "counter", "Commands and controls that the engine did not take.", ("shard",)),
)

_STATE = (
    Metric("siyu_state_entries", "gauge", "Rows of engine state.", ("shard", "table")),
    Metric("siyu_state_bytes", "gauge", "Size of the local store on disk.", ("shard",), unit="bytes"),
    Metric("siyu_restore_seconds", "gauge", "Time that the last restore took.", ("shard",), unit="seconds"),
    Metric("siyu_restore_records", "gauge", "Rows or changelog offsets that the restore has read.", ("shard", "part")),
    Metric("siyu_restore_records_expected", "gauge", "How many it will read, about.", ("shard", "part")),
    Metric("siyu_snapshots_total", "counter", "Snapshots that are kept.", ("shard",)),
    Metric("siyu_snapshot_failures_total", "counter", "Snapshots that could not be kept.", ("shard",)),
    Metric("siyu_snapshot_timestamp_seconds", "gauge", "When the newest was begun.", ("shard",), unit="seconds"),
    Metric("siyu_snapshot_seconds", "gauge", "Time that the newest took.", ("shard",), unit="seconds"),
    Metric("siyu_snapshot_bytes", "gauge", "Size of the newest.", ("shard",), unit="bytes"),
)

_SINK = (
    Metric("siyu_sink_rows_total", "counter", "Rows inserted.", ("table",)),
    Metric("siyu_sink_batches_total", "counter", "Blocks inserted.", ("table",)),
    Metric(
        "siyu_sink_retries_total",
        "counter",
        "Tries that failed since ClickHouse took nothing, by what was wrong.",
        ("reason",),
    ),
    Metric("siyu_sink_seconds", "histogram", "Time that one block took.", (), FAST, "seconds"),
    Metric(
        "siyu_sink_available",
        "gauge",
        "1 while ClickHouse takes what we write, else 0, and the reason.",
        ("shard", "reason"),
    ),
)

_PROCESS = (
    Metric(
        "siyu_stalled_seconds",
        "gauge",
        "Time without progress though there is lag; the worker ends itself at worker.stuck_after_s.",
        ("stage", "topic", "partition"),
        unit="seconds",
    ),
    Metric("siyu_partitions", "gauge", "Partitions that it owns, by what it does with them.", ("stage", "state")),
    Metric("siyu_up_timestamp_seconds", "gauge", "When the process started, as a Unix time.", unit="seconds"),
    Metric("siyu_worker_info", "gauge", "1, with what runs here in its labels.", ("stage", "version")),
)

GROUPS: dict[str, tuple[Metric, ...]] = {
    "Events": _EVENTS,
    "Lag and latency": _LAG,
    "Identity": _IDENTITY,
    "Rules and delivery": _ENGAGE,
    "State": _STATE,
    "Sink": _SINK,
    "Process": _PROCESS,
}

METRICS: tuple[Metric, ...] = tuple(metric for group in GROUPS.values() for metric in group)

_HEAD = """# Metrics

Generated by `python -m streams.observe.catalogue`; edit streams/observe/catalogue.py.

Every worker process serves `/metrics`, `/live` and `/ready` on the address that it prints at start. A process counts
only what it did itself, so sums over processes count nothing twice. Of a histogram there are `_bucket`, `_sum` and
`_count`.
"""


def document() -> str:
    """docs/metrics.md as Markdown."""
    return "\n".join([_HEAD, *_sections(), *_labels()])


def _sections() -> Iterator[str]:
    for title, metrics in GROUPS.items():
        yield f"## {title}\n\n| Metric | Kind | Labels | Means |\n|---|---|---|---|"
        yield from (_row(metric) for metric in metrics)
        yield ""


def _row(metric: Metric) -> str:
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    return f"| `{metric.name}` | {metric.kind} | {labels} | {metric.help} |"


def _labels() -> Iterator[str]:
    yield "## Labels\n\n| Label | Holds |\n|---|---|"
    yield from (f"| `{name}` | {text} |" for name, text in LABELS.items())
    yield ""


if __name__ == "__main__":
    place = Path(__file__).parents[2] / "docs" / "metrics.md"
    place.parent.mkdir(exist_ok=True)
    place.write_text(document(), encoding="utf-8")
