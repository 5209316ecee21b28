"""`python -m bench.traffic --people 200 --out events.jsonl`: traffic into a file, a summary of its truth to stdout.

In: arguments. Out: a file of JSON lines, one JSON object. Never: sends anything.
"""

import argparse
import json
from collections import Counter
from typing import Any

from bench.traffic import Traffic, TrafficSpec, plan, write_jsonl


def summary_of(traffic: Traffic) -> dict[str, Any]:
    """The truth in numbers."""
    truth = traffic.truth
    return {
        "persons": {tenant: len(persons) for tenant, persons in truth.persons.items()},
        "sharing": {tenant: len(components) for tenant, components in truth.sharing.items()},
        "orders": Counter(order.fate.name.lower() for order in traffic.orders),
        "fires": len(truth.fires),
        "revoked": len(truth.revoked),
        "suppressed": Counter(truth.suppressed.values()),
        "accepted": truth.accepted,
        "duplicates": truth.duplicates,
        "refused": truth.refused,
        "story": truth.story,
    }


def main() -> None:
    """Plans, writes, sums up."""
    usual = TrafficSpec()
    parser = argparse.ArgumentParser(prog="python -m bench.traffic", description=__doc__)
    parser.add_argument("--out", required=True, help="file of JSON lines to write")
    parser.add_argument("--people", type=int, default=usual.people)
    parser.add_argument("--days", type=float, default=usual.days)
    parser.add_argument("--seed", type=int, default=usual.seed)
    parser.add_argument("--events-per-person", type=float, default=usual.events_per_person)
    given = vars(parser.parse_args())
    out = given.pop("out")
    traffic = plan(TrafficSpec(**given))
    lines = write_jsonl(traffic, out)
    print(json.dumps(summary_of(traffic) | {"lines": lines}, ensure_ascii=False, indent=2))


if __name__ == "__main__":
    main()
