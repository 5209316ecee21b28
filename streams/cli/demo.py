"""`siyu demo`: the main job on real parts on this machine, judged against a truth that was planned before.

In: how many people, how fast. Out: one screen, and `summary.json` beside it; exit code 1 where the run was not right.
Never: a number that was not measured in this run, a process left behind, a port open to others.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from streams.cli.failure import Failure
from streams.settings import Engine, Ingest, Kafka, Settings, Sink

NAME = "demo"
HELP = "the whole pipeline on this machine, with traffic whose truth is known"
EXAMPLE = "siyu demo --people 3000"

RULES = Path(__file__).parents[2] / "deploy" / "rules"
_ENOUGH_FOR_TILLS = 1_500
"""With fewer people a till has too few customers to be found out."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """How much traffic, and where the results go."""
    parser.add_argument("--people", type=int, default=3000, metavar="N", help="people in the traffic (default: 3000)")
    parser.add_argument("--days", type=float, default=3.0, help="days of event time (default: 3)")
    parser.add_argument("--seed", type=int, default=7, help="another seed is another traffic (default: 7)")
    parser.add_argument("--out", type=Path, default=Path("build/demo"), metavar="DIR", help="default: build/demo")
    parser.add_argument("--rate", type=float, default=0, metavar="N", help="records a second (default: all it takes)")
    parser.add_argument("--json", action="store_true", help="print summary.json instead of the screen")


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Plays the traffic, waits until all of it is stored, judges, prints. 0 where everything was right."""
    from bench.traffic import TrafficSpec, plan  # noqa: PLC0415 `siyu --help` must stay fast
    from streams.cli.screen import Screen, print_summary  # noqa: PLC0415

    if arguments.people < 200:
        raise Failure("--people must be at least 200, so that every kind of fate and fault occurs")
    signal.signal(signal.SIGTERM, _interrupt)
    screen = Screen(quiet=arguments.json)
    screen.stage("planning people, orders and their fates")
    tills, recycled = int(arguments.people >= _ENOUGH_FOR_TILLS), 0.3
    spec = TrafficSpec(
        seed=arguments.seed, people=arguments.people, days=arguments.days, tills=tills, recycled=recycled
    )
    traffic = plan(spec)
    out = _emptied(arguments.out)
    with _embedded(out, spec.tenants) as own, screen:
        summary = _Run(own, traffic, screen, out, arguments.rate).summary()
    (out / "summary.json").write_text(json.dumps(summary, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    if arguments.json:
        print(json.dumps(summary, ensure_ascii=False))
    else:
        print_summary(summary, out)
    return 0 if summary["right"] else 1


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _emptied(out: Path) -> Path:
    if out.exists() and not (out / "summary.json").exists() and not (out / "logs").exists() and any(out.iterdir()):
        raise Failure(f"{out} holds something that is not a demo's; name another folder with --out")
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    return out


@contextmanager
def _embedded(out: Path, tenants: tuple[str, ...]) -> Iterator[Settings]:
    """Settings for a broker of our own, which lives as long as the block."""
    from streams.worker.servers import tansu  # noqa: PLC0415

    with tansu(out / "broker") as broker:
        kafka = Kafka(
            bootstrap=broker.address, transactions=False, timestamps="create", raw_partitions=2, shards=len(tenants)
        )
        yield Settings(
            data=out / "data",
            tenants=tenants,
            salt=SecretStr("demo"),
            kafka=kafka,
            ingest=Ingest(idle_progress=False, patience_ms=30_000),
            engine=Engine(commit_ms=50),
            sink=Sink(block_ms=500),
        )


class _Run:
    """One demo run over a broker that is up."""

    def __init__(self, settings: Settings, traffic: Any, screen: Any, out: Path, rate: float) -> None:
        self._settings = settings
        self._traffic = traffic
        self._screen = screen
        self._out = out
        self._rate = rate

    def summary(self) -> dict[str, Any]:
        """Starts the workers, plays, waits, asks, judges."""
        from streams.cli.flow import Flow  # noqa: PLC0415
        from streams.worker import stack  # noqa: PLC0415

        self._screen.stage("starting broker and workers")
        since = self._traffic.spec.start_ms - 60_000
        ids = stack.prepare(self._settings, sorted(RULES.glob("unpaid-*.yaml")), since)
        with stack.workers(self._settings, stack.ROLES, self._out / "logs") as running:
            stack.await_controls(self._settings, ids, running)
            flow = Flow(self._settings, running, self._screen)
            played, seconds = flow.play(self._traffic, self._rate)
            return self._judged(flow, played, seconds)

    def _judged(self, flow: Any, played: Any, seconds: float) -> dict[str, Any]:
        from bench.verdict import judge_persons, judge_triggers, percentile  # noqa: PLC0415
        from streams.cli.findings import Findings  # noqa: PLC0415

        self._screen.stage("asking ClickHouse and the topics what came of it")
        found, truth = Findings(self._settings), self._traffic.truth
        triggers, revoked = found.topic("triggers.coupon"), found.topic("triggers.revoked")
        persons = judge_persons(found.persons(truth), truth)
        verdict = judge_triggers(triggers, revoked, truth)
        latency = [heard.wall_s - played.wall_at(heard.record["fired_time"]) for heard in flow.heard]
        events = found.events(truth, played.events)
        right = verdict.right and persons.right and events.pop("right")
        return {
            "right": right,
            "events": events,
            "persons": asdict(persons),
            "triggers": {**asdict(verdict), "not_sent": found.not_sent(), "expected_not_sent": len(truth.suppressed)},
            "path": found.path(*truth.story),
            "speed": {
                "seconds": round(seconds, 2),
                "events_per_second": round(played.events / seconds),
                "records_per_second": round(played.records / seconds),
                "trigger_seconds_p50": round(percentile(latency, 0.5), 3),
                "trigger_seconds_p99": round(percentile(latency, 0.99), 3),
            },
        }
