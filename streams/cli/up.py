"""`siyu up`: the stack kept running on this machine until Ctrl-C.

In: settings, rule files. Out: a broker to publish to and a socket to query. Never: a process left behind.

The embedded broker keeps everything in memory, so what it fed (state, facts) begins anew with it. With `--configured`
the workers run against the broker of the settings, and nothing is emptied.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from streams.cli.failure import Failure
from streams.cli.rulefiles import good_rules
from streams.settings import Kafka, Settings

NAME = "up"
HELP = "the embedded stack, kept running"
EXAMPLE = "siyu up --tenant lumi_tea --rules deploy/rules"

if TYPE_CHECKING:
    from streams.worker.stack import Worker

_LOOK_EVERY_S = 1.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Whose events, which rules, which broker."""
    parser.add_argument("--tenant", action="append", metavar="T", help="a brand (default: settings.tenants)")
    parser.add_argument("--rules", type=Path, metavar="DIR", help="rules to put in force for all tenants; or one file")
    parser.add_argument("--configured", action="store_true", help="use the broker of the settings")


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Runs until interrupted, or until a worker ends by itself."""
    from streams.worker import stack  # noqa: PLC0415 loads Kafka

    signal.signal(signal.SIGTERM, _interrupt)
    tenants = tuple(arguments.tenant or settings.tenants)
    if not tenants:
        raise Failure("name at least one brand: siyu up --tenant NAME, or tenants in siyu.toml")
    rules = list(good_rules(arguments.rules, settings)) if arguments.rules else []
    named = settings.model_copy(update={"tenants": tenants})
    with _broker(arguments.configured, named) as own:
        said = stack.prepare(own, rules)
        with stack.workers(own, stack.ROLES, own.data / "logs") as running:
            stack.await_controls(own, said, running)
            _tell(own, running, [path.stem for path in rules])
            while True:
                for worker in running:
                    worker.check()
                time.sleep(_LOOK_EVERY_S)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


@contextmanager
def _broker(configured: bool, settings: Settings) -> Iterator[Settings]:
    if configured:
        yield settings
        return
    from streams.worker.servers import tansu  # noqa: PLC0415

    for fed in ("state", "snapshots", "chdb"):
        shutil.rmtree(settings.data / fed, ignore_errors=True)
    with tansu(settings.data / "broker") as broker:
        own = settings.kafka.model_dump() | {"bootstrap": broker.address, "transactions": False}
        yield settings.model_copy(update={"kafka": Kafka(**own)})


def _tell(settings: Settings, running: list[Worker], rules: list[str]) -> None:
    print(f"Kafka          {settings.kafka.bootstrap}")
    print(f"tenants        {', '.join(settings.tenants)}")
    print(f"rules          {', '.join(rules) or 'none yet: siyu rules apply FILE'}")
    for worker in running:
        print(f"{worker.role:<14} http://127.0.0.1:{worker.port}/metrics   log {worker.log}")
    print("\nIn another shell, with this setting:")
    print(f"  export SIYU_KAFKA__BOOTSTRAP={settings.kafka.bootstrap} SIYU_TENANTS={','.join(settings.tenants)}")
    print(f"  export SIYU_DATA={settings.data.resolve()}")
    if settings.salt.get_secret_value():
        print("  (and SIYU_SALT as here: `siyu identity` finds ids by it)")
    print("  siyu publish events.jsonl")
    print('  siyu query "SELECT event_type, count() FROM siyu.events GROUP BY event_type"')
    print("Ctrl-C ends it.", flush=True)
