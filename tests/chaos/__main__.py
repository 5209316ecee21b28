"""`python -m tests.chaos`: the full run, and what it shows, as JSON lines and a verdict.

In: how long, how large, a seed. Out: strikes by target and window, times to catch up, what differs; exit code 1 if
anything does. Never: a difference that is not printed.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.traffic import TrafficSpec
from bench.verdict import percentile
from tests.chaos.hunt import Strike
from tests.chaos.run import Chaos, Spec, chaos

_FEW_KILLS = 200


def main() -> int:
    """Runs it; 0 when nothing differs and there were kills enough."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seconds", type=float, default=1_000.0, help="how long the traffic is played")
    parser.add_argument("--people", type=int, default=1_500)
    parser.add_argument("--days", type=float, default=8.0, help="of event time")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--kills", type=int, default=_FEW_KILLS, help="fewer are a failure")
    parser.add_argument("--keep", type=Path, help="a folder for everything that the run leaves behind")
    asked = parser.parse_args()
    logging.getLogger("streams").addHandler(logging.NullHandler())
    spec = Spec(TrafficSpec(people=asked.people, days=asked.days), asked.seconds, asked.seed, pace_s=1.5)
    with TemporaryDirectory() as temporary, chaos(spec, asked.keep or Path(temporary)) as run:
        return _verdict(run, asked.kills)


def _verdict(run: Chaos, wanted: int) -> int:
    kills = [strike for strike in run.hunt.strikes if strike.how != "pause"]
    _tell("strikes", kills=len(kills), pauses=len(run.hunt.strikes) - len(kills), seconds=round(run.seconds))
    _tell("kills_by_target", **Counter(strike.target for strike in kills))
    _tell("kills_by_window", **Counter(strike.how for strike in kills))
    _tell("ended_by_themselves_or_killed", **run.crew.ends)
    _tell("seconds_until_caught_up", **_recovery(run.hunt.strikes))
    differs = _differences(run)
    for name, difference in differs.items():
        _tell("differs", of=name, missing_and_extra=difference)
    enough = len(kills) >= wanted
    print("nothing lost, nothing twice" if not differs else "THE OUTCOME DIFFERS")
    print(f"{len(kills)} kills" + ("" if enough else f", fewer than the {wanted} that were asked for"))
    return int(bool(differs) or not enough)


def _differences(run: Chaos) -> dict[str, Any]:
    after = run.aftermath
    found: dict[str, Any] = {f"topic {name}": pair for name, pair in after.public().items()}
    found |= {f"table {name}": pair for name, pair in after.facts().items()}
    found["coupons, by the truth of the traffic"] = after.coupons(run.traffic.truth)
    _tell("compared", records={name: len(after.topic(name)) for name in after.public()})
    _tell("compared", rows={name: rows.total() for name, rows in after.undisturbed.items()})
    found |= {f"state of shard {where}": pair for where, pair in after.state().items()}
    found |= {f"resolved frames of shard {shard}": pair for shard, pair in after.resolved().items()}
    return {name: difference for name, difference in found.items() if difference != (0, 0)}


def _recovery(strikes: list[Strike]) -> Mapping[str, Any]:
    by: defaultdict[str, list[float]] = defaultdict(list)
    for strike in strikes:
        if strike.caught_up_s is not None:
            by[strike.target].append(strike.caught_up_s)
    shares = {"p50": 0.5, "p90": 0.9, "max": 1.0}
    return {
        target: {name: round(percentile(times, share), 1) for name, share in shares.items()}
        for target, times in sorted(by.items())
    }


def _tell(what: str, **figures: Any) -> None:
    print(json.dumps({"chaos": what, **figures}), flush=True)


if __name__ == "__main__":
    sys.exit(main())
