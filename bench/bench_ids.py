"""How much memory an id takes, and whether the many slow down the look-up of one: each size in a process of its own.

In: sizes; customers of six ids each, from account to browser, who become known by five events.
Out: bytes an id (resident); events a second of CPU time while they become known, and of known ids; the bytes that the
dedup window takes for an event, over a million of them. Never: a broker, a store.

    python -m bench.bench_ids [100000 1000000]
"""

from __future__ import annotations

import argparse
import gc
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence

from bench.measure import resident_mib, tell
from streams.identity.nodes import SEPARATOR, Evidence
from streams.identity.persons import Persons
from streams.journal.dedup import Dedup
from streams.journal.tables import Tables

_SIZES = (100_000, 1_000_000)
_IDS_EACH = 6
_ASKED = 300_000
_EVENTS = 1_000_000
_STRIDE = 7_919
_COMMIT = 1_000
_SEEN_TOGETHER = (
    *(("device_id",), ("uid", "phone"), ("uid", "device_id")),
    *(("unionid", "phone", "openid"), ("uid", "cookie")),
)
_KINDS = ("uid", "phone", "unionid", "openid", "device_id", "cookie")


def main() -> None:
    """Every size, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", nargs="*", type=int, default=_SIZES)
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one is None:
        for size in asked.sizes:
            subprocess.run([sys.executable, "-m", __spec__.name, "--one", str(size)], check=True)
        subprocess.run([sys.executable, "-m", __spec__.name, "--one", "0"], check=True)
    elif asked.one:
        _ids(asked.one)
    else:
        _dedup()


def _ids(size: int) -> None:
    gc.disable()
    before, tables = resident_mib(os.getpid()), Tables()
    persons = Persons(tables, b"bench")
    people = size // _IDS_EACH
    began = time.process_time()
    for number in range(people):
        for event, nodes in enumerate(_becomes_known(number)):
            persons.resolve(nodes, Evidence(f"e{number:09d}-{event}", 1_700_000_000_000 + number))
        if not number % _COMMIT:
            persons.take_facts()
            tables.take_changes()
    grown_s = time.process_time() - began
    after = resident_mib(os.getpid())
    tell(
        "ids",
        ids=people * _IDS_EACH,
        bytes_per_id=round((after - before) * 2**20 / (people * _IDS_EACH)),
        learned_per_second=round(people * 5 / grown_s),
        resolved_alone_per_second=_resolved(persons, people, ("openid",)),
        resolved_pairs_per_second=_resolved(persons, people, ("uid", "phone")),
    )


def _becomes_known(number: int) -> Iterator[Sequence[str]]:
    ids = dict(zip(_KINDS, (_node(kind, number) for kind in _KINDS), strict=True))
    for kinds in _SEEN_TOGETHER:
        yield [ids[kind] for kind in kinds]


def _node(kind: str, number: int) -> str:
    """An id as long as those of its kind are."""
    scope = "wx0123456789abcdef" if kind == "openid" else ""
    values = {"uid": f"U{number:09d}", "phone": f"+86139{number:08d}", "cookie": f"ck.{number:020x}"}
    value = values.get(kind, f"{number * 2_654_435_761 % 2**64:028x}")
    return SEPARATOR.join(("lumi_tea", kind, scope, value))


def _resolved(persons: Persons, people: int, kinds: Sequence[str]) -> int:
    """Events of known customers in no order; ids are made before the clock starts, as ingest makes them."""
    events = [[_node(kind, at * _STRIDE % people) for kind in kinds] for at in range(_ASKED)]
    evidence = Evidence("again", 1_700_000_000_000)
    began = time.process_time()
    for nodes in events:
        persons.resolve(nodes, evidence)
    return round(_ASKED / (time.process_time() - began))


def _dedup() -> None:
    before, dedup = resident_mib(os.getpid()), Dedup(Tables(), 86_400_000)
    for number in range(_EVENTS):
        dedup.first("lumi_tea", f"{number:032x}", 1_700_000_000_000 + number)
    tell("dedup", bytes_per_event=round((resident_mib(os.getpid()) - before) * 2**20 / _EVENTS))


if __name__ == "__main__":
    main()
