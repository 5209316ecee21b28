"""`siyu worker ROLE`: one worker against the configured servers.

In: the role and settings. Out: the worker's exit code: 0 when told to end, 70 after a fault of ours, 78 or 69 when it
did not start, since something is to be mended or a server was away.
Never: a broker or a topic started or made (see `up`).
"""

from __future__ import annotations

import argparse

from streams.settings import Settings

NAME = "worker"
HELP = "run one worker against configured servers: ingest, engine or sink"
EXAMPLE = "siyu --config siyu.toml worker engine"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The role."""
    parser.add_argument("role", choices=("ingest", "engine", "sink"), help="what this process does")


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Runs until SIGTERM or SIGINT."""
    from streams.worker.run import run_worker  # noqa: PLC0415 loads Kafka and Faust

    return run_worker(arguments.role, settings)
