"""How much memory an id takes, and whether the many slow down the look-up of one: each size in a process of its own.

In: sizes; customers of six ids each, from account to browser, who become known by five events.
Out: bytes an id (resident); events a second of CPU time while they become known, and of known ids; the bytes that the
dedup window takes for an event, over a million of them. Never: a broker.

    python -m bench.bench_ids [--restored | --stored 65536] [100000 1000000]

`--stored`: rows are in a store on disk, and twice so many of each table in memory. The disk's pages stay in the memory
of the system, which is not the process's: a look at a row that is in none of them costs what the disk takes.
"""

from __future__ import annotations

import argparse
import gc
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.measure import resident_mib, tell
from streams.identity.nodes import SEPARATOR, Evidence, hash_of
from streams.identity.persons import Persons
from streams.journal.dedup import Dedup
from streams.journal.tables import Change, Tables
from streams.worker.state.rocks import RocksStore
from streams.worker.state.store import Position, loaded

_SIZES = (100_000, 1_000_000)
_IDS_EACH = 6
_ASKED = 300_000
_EVENTS = 1_000_000
_STRIDE = 7_919
_COMMIT = 1_000
_NEW = 20_000
_ROWS = 10_000
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
    parser.add_argument("--stored", type=int, default=0, metavar="ROWS", help="known from a store; engine.memory_rows")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--store", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.store is not None:
        _stored(asked.one, asked.store, asked.stored) if asked.stored else _fill(asked.one, asked.store)
    elif asked.stored:
        for size in asked.sizes:
            with TemporaryDirectory() as place:
                for rows in (0, asked.stored):
                    flags = ["--one", str(size), "--store", f"{place}/store", "--stored", str(rows)]
                    subprocess.run([sys.executable, "-m", __spec__.name, *flags], check=True)
    elif asked.one is None:
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
        **_resolved_each(persons, people),
    )


def _resolved_each(persons: Persons, people: int) -> dict[str, int]:
    return {
        "resolved_alone_per_second": _resolved(persons, people, ("openid",)),
        "resolved_pairs_per_second": _resolved(persons, people, ("uid", "phone")),
        "resolved_usual_per_second": _resolved(persons, people, ("openid",), _usual),
    }


def _learned(people: int) -> tuple[Persons, int]:
    """Customers who became known event by event; the events."""
    tables = Tables()
    persons = Persons(tables, _SALT)
    _learn(persons, tables, range(1, people + 1))
    return persons, people * len(_SEEN_TOGETHER)


def _learn(persons: Persons, tables: Tables, numbers: Iterable[int], store: RocksStore | None = None) -> None:
    for number in numbers:
        for event, nodes in enumerate(_becomes_known(number)):
            persons.resolve(nodes, Evidence(f"e{number:09d}-{event}", 1_700_000_000_000 + number))
        if not number % _COMMIT:
            persons.take_facts()
            changes = tables.take_changes()
            if store is not None:
                store.commit(changes, Position(number, number))


def _restored(people: int) -> tuple[Persons, int]:
    """The same customers by their rows; the rows."""
    tables, made = Tables(), 0
    for table, key, value in _rows(people):
        tables.table(table).fill((key,), (value,))
        made += 1
    return Persons(tables, _SALT), made


def rows_of(ids: int) -> Iterator[Change]:
    """Of so many ids: those of one customer with other ids."""
    return _rows(ids // _IDS_EACH)


def _rows(people: int) -> Iterator[Change]:
    first = Tables()
    persons = Persons(first, _SALT)
    for event, nodes in enumerate(_becomes_known(_ONE)):
        persons.resolve(nodes, Evidence(f"e{_ONE:09d}-{event}", 1_700_000_000_000))
    rows = [row for row in first.rows() if row.table in _OF_IDS]
    for number in range(1, people + 1):
        other = _names(number)
        for table, key, value in rows:
            name = _BETWEEN.join(other[part] for part in key.split(_BETWEEN))
            yield Change(table, name, _renamed(value, other, number))


def _fill(size: int, folder: Path) -> None:
    """As a worker does that has all in memory; so the indices are made when one first has not."""
    store, rows, number = RocksStore(folder), _rows(size // _IDS_EACH), 0
    while part := list(islice(rows, _ROWS)):
        number += 1
        store.commit(part, Position(number, number))
    store.close()
    began, store = time.perf_counter(), RocksStore(folder, 1)
    store.ready(lambda done: None)
    tell("ids_indices", ids=size, seconds=time.perf_counter() - began)
    store.close()


def _stored(size: int, folder: Path, memory_rows: int) -> None:
    """As after a restart."""
    people = size // _IDS_EACH
    gc.disable()
    before, opened_s = resident_mib(os.getpid()), time.perf_counter()
    store = RocksStore(folder, memory_rows)
    store.ready(lambda done: None)
    tables = loaded(store)
    persons = Persons(tables, _SALT)
    opened_s = time.perf_counter() - opened_s
    figures = _resolved_each(persons, people)
    began = time.thread_time()
    _learn(persons, tables, range(people + 1, people + 1 + _NEW), store)
    tell(
        "ids_stored",
        ids=people * _IDS_EACH,
        disk_bytes_per_id=round(store.size() / (people * _IDS_EACH)),
        opened_s=opened_s,
        resident_mib=resident_mib(os.getpid()),
        resident_mib_before=before,
        learned_per_second=round(_NEW * len(_SEEN_TOGETHER) / (time.thread_time() - began)),
        **figures,
    )
    store.close()


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
    began = time.thread_time()
    for nodes in events:
        persons.resolve(nodes, evidence)
    return round(_ASKED / (time.thread_time() - began))


def _dedup() -> None:
    before, dedup = resident_mib(os.getpid()), Dedup(Tables(), 86_400_000)
    for number in range(_EVENTS):
        dedup.first("lumi_tea", f"{number:032x}", 1_700_000_000_000 + number)
    tell("dedup", bytes_per_event=round((resident_mib(os.getpid()) - before) * 2**20 / _EVENTS))


if __name__ == "__main__":
    main()
