"""How much memory an id takes, and whether the many slow down the look-up of one: each size in a process of its own.

In: sizes; customers of six ids each, from account to browser, who become known by five events.
Out: bytes an id (resident); events a second of CPU time while they become known, and of known ids; the bytes that the
dedup window takes for an event, over a million of them. Never: a broker, a store.

    python -m bench.bench_ids [--restored] [100000 1000000]
"""

from __future__ import annotations

import argparse
import gc
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from bench.measure import resident_mib, tell
from streams.identity.nodes import SEPARATOR, Evidence, hash_of
from streams.identity.persons import Persons
from streams.journal.dedup import Dedup
from streams.journal.tables import Tables

_SIZES = (100_000, 1_000_000)
_IDS_EACH = 6
_ASKED = 300_000
_EVENTS = 1_000_000
_STRIDE = 7_919
_COMMIT = 1_000
_SALT = b"bench"
_OF_IDS = ("nodes", "links", "persons", "beside")
_BETWEEN = "\x1e"
_TIME = 1_000_000_000_000
_SEQS_EACH = 100
_ONE = 1
"""Not the customer of number 0, whose ids of zeros are blocked."""
_SEEN_TOGETHER = (
    *(("device_id",), ("uid", "phone"), ("uid", "device_id")),
    *(("unionid", "phone", "openid"), ("uid", "cookie")),
)
_KINDS = ("uid", "phone", "unionid", "openid", "device_id", "cookie")


def main() -> None:
    """Every size, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", nargs="*", type=int, default=_SIZES)
    parser.add_argument("--restored", action="store_true", help="known from rows, as after a restart")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one is None:
        flags = ["--restored"] if asked.restored else []
        for size in (*asked.sizes, 0):
            subprocess.run([sys.executable, "-m", __spec__.name, "--one", str(size), *flags], check=True)
    elif asked.one:
        _ids(asked.one, _restored if asked.restored else _learned)
    else:
        _dedup()


def _ids(size: int, made: Callable[[int], tuple[Persons, int]]) -> None:
    gc.disable()
    before = resident_mib(os.getpid())
    people = size // _IDS_EACH
    began = time.process_time()
    persons, things = made(people)
    grown_s = time.process_time() - began
    after = resident_mib(os.getpid())
    tell(
        "ids",
        ids=people * _IDS_EACH,
        bytes_per_id=round((after - before) * 2**20 / (people * _IDS_EACH)),
        **{f"{made.__name__[1:]}_per_second": round(things / grown_s)},
        resolved_alone_per_second=_resolved(persons, people, ("openid",)),
        resolved_pairs_per_second=_resolved(persons, people, ("uid", "phone")),
        resolved_usual_per_second=_resolved(persons, people, ("openid",), _usual),
    )


def _learned(people: int) -> tuple[Persons, int]:
    """Customers who became known event by event; the events."""
    tables = Tables()
    persons = Persons(tables, _SALT)
    for number in range(1, people + 1):
        for event, nodes in enumerate(_becomes_known(number)):
            persons.resolve(nodes, Evidence(f"e{number:09d}-{event}", 1_700_000_000_000 + number))
        if not number % _COMMIT:
            persons.take_facts()
            tables.take_changes()
    return persons, people * len(_SEEN_TOGETHER)


def _restored(people: int) -> tuple[Persons, int]:
    """The same customers by their rows, which are those of one with other ids; the rows."""
    first = Tables()
    persons = Persons(first, _SALT)
    for event, nodes in enumerate(_becomes_known(_ONE)):
        persons.resolve(nodes, Evidence(f"e{_ONE:09d}-{event}", 1_700_000_000_000))
    rows, tables = [row for row in first.rows() if row.table in _OF_IDS], Tables()
    for number in range(1, people + 1):
        other = _names(number)
        for table, key, value in rows:
            name = _BETWEEN.join(other[part] for part in key.split(_BETWEEN))
            tables.table(table).fill((name,), (_renamed(value, other, number),))
    return Persons(tables, _SALT), people * len(rows)


def _names(number: int) -> dict[str, str]:
    """Of each id of that customer and its hash, that of this one."""
    found = {_node(kind, _ONE): _node(kind, number) for kind in _KINDS}
    found.update({hash_of(one, _SALT): hash_of(other, _SALT) for one, other in found.items()})
    found.update({f"e{_ONE:09d}-{at}": f"e{number:09d}-{at}" for at in range(len(_SEEN_TOGETHER))})
    return found


def _renamed(value: Any, other: Mapping[str, str], number: int) -> Any:
    if isinstance(value, tuple):
        return tuple(_renamed(one, other, number) for one in value)
    if isinstance(value, str):
        return other[value]
    return value if isinstance(value, bool) else value + number * (1 if value > _TIME else _SEQS_EACH)


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


def _in_no_order(at: int, people: int) -> int:
    return 1 + at * _STRIDE % people


def _usual(at: int, people: int) -> int:
    """Nine of ten events are of a fiftieth of all customers."""
    return _in_no_order(at, people if not at % 10 else max(1, people // 50))


def _resolved(persons: Persons, people: int, kinds: Sequence[str], of: Callable[[int, int], int] = _in_no_order) -> int:
    """Events of known customers; ids are made before the clock starts, as ingest makes them."""
    events = [[_node(kind, of(at, people)) for kind in kinds] for at in range(_ASKED)]
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
