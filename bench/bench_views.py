"""How fast facts answer by today's identity and as reported then, beside the same question put to the plain table.

In:    how many facts and persons, and the share of persons that were merged or cut; all of it made on the server by
       INSERT ... SELECT from numbers().
Out:   one JSON line for the filling, one a question: the least seconds of three tries. `floor` is the plain table.
Never: the sink's writer, our own traffic.

    python -m bench.bench_views --facts 50000000 --persons 2500000 --moved 0.01
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from bench.measure import tell
from sinks.embedded import EmbeddedSink
from sinks.migrations import runner
from sinks.native import Address, NativeSink
from sinks.sink import Database
from streams.worker.servers import clickhouse_server
from streams.worker.servers.process import HOST

_TRIES = 3
_CHUNK = 5_000_000
_SINCE_MS = 1_785_542_400_000
_DAYS = 92
_DAY_MS = 86_400_000
_FACTS_A_TRIGGER = 50

_TYPES = {"page_view": 0.6, "product_view": 0.25, "add_to_cart": 0.05, "order_submitted": 0.05, "order_paid": 0.05}
_PLACES = "miniprogram " * 6 + "h5 h5 app app wecom pos marketplace official_account sms live"
_RULES = "unpaid-order " * 6 + "newcomer newcomer newcomer repurchase repurchase birthday lead dormant review winback"
_KINDS = "openid unionid phone uid member_card"


_PATH = "SELECT event_time_ms, touchpoint, event_type, order_id, amount_fen FROM siyu.{table} WHERE tenant = 't' AND "
_THEIRS = """node IN (
    SELECT node FROM (
        SELECT node, argMax(one_id, seq) AS now FROM siyu.identity_map
        WHERE tenant = 't' AND node IN (SELECT node FROM siyu.identity_map WHERE tenant = 't' AND one_id = '{one_id}')
        GROUP BY node)
    WHERE now = '{one_id}')"""
_PLACES_OF_DAYS = "SELECT touchpoint, toDate(event_time) AS day, count() FROM siyu.{table} GROUP BY touchpoint, day"
_PERSONS_OF_DAYS = "SELECT toDate(event_time) AS day, uniq(one_id) FROM siyu.{table} GROUP BY day"
_TOP_RULES = (
    "SELECT rule, count(), uniq(one_id) AS reached FROM siyu.{table} GROUP BY rule ORDER BY reached DESC LIMIT 10"
)
_ORDERS = "SELECT touchpoint, count(), sum(amount_fen) FROM siyu.{table} GROUP BY touchpoint"


class Asked(NamedTuple):
    """One way to put a question: SQL, and the table or view for its `{table}`. The first way is the floor.

    `needs`: the least server version that has it.
    """

    way: str
    sql: str
    table: str
    needs: tuple[int, ...] = ()


_BY_ONE_ID = _PATH + "one_id = '{one_id}' ORDER BY event_time_ms"
_BY_VIEW = _PATH[: _PATH.index("WHERE")].rstrip() + "(tenant = 't', one_id = '{one_id}') ORDER BY event_time_ms"
_BY_NODES = _PATH + _THEIRS + " ORDER BY event_time_ms"
QUESTIONS = {
    "one person's path": (
        Asked("floor", _BY_ONE_ID, "events"),
        Asked("then", _BY_ONE_ID, "customer_path_then"),
        Asked("now", _BY_ONE_ID, "customer_path"),
        Asked("now_by_nodes", _BY_NODES, "events"),
        Asked("now_by_path_of", _BY_VIEW, "path_of", (24, 5)),
    ),
    "events per touchpoint and day": (
        Asked("floor", _PLACES_OF_DAYS, "events"),
        Asked("now", _PLACES_OF_DAYS, "events_now"),
    ),
    "distinct persons per day": (
        Asked("floor", _PERSONS_OF_DAYS, "events"),
        Asked("now", _PERSONS_OF_DAYS, "events_now"),
    ),
    "top rules by persons reached": (
        Asked("floor", _TOP_RULES, "triggers"),
        Asked("now", _TOP_RULES, "triggers_now"),
    ),
    "orders per touchpoint": (
        Asked("floor", _ORDERS, "orders_then"),
        Asked("now", _ORDERS, "orders"),
    ),
}


def main() -> None:
    """Makes the tables, asks, prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--facts", type=int, default=50_000_000)
    parser.add_argument("--persons", type=int, default=2_500_000)
    parser.add_argument("--moved", type=float, default=0.01, help="share of the persons that are merged or cut")
    parser.add_argument("--database", choices=("server", "embedded"), default="server")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, _opened(given.database, Path(folder)) as database:
        runner.apply(database)
        began = time.perf_counter()
        fill(database, given.facts, given.persons, given.moved)
        rows = database.query("SELECT count(), uniq(one_id) FROM siyu.events").rows[0]
        moved = database.query("SELECT uniq(node) FROM siyu.identity_moves").rows[0][0]
        filled = {"facts": rows[0], "persons": rows[1], "moved_nodes": moved, "seconds": time.perf_counter() - began}
        tell("views, filled", database=given.database, version=".".join(map(str, database.version)), **filled)
        one_id = _busy(database, given.moved)
        for question, ways in QUESTIONS.items():
            _ask(database, question, ways, one_id)


@contextmanager
def _opened(kind: str, folder: Path) -> Iterator[Database]:
    if kind == "embedded":
        database: Database = EmbeddedSink(folder)
        yield database
        database.close()
        return
    with clickhouse_server(folder, max_memory_bytes=8 * 1024**3) as server:
        database = NativeSink(Address(HOST, server.port, answer_within_s=600.0))
        yield database
        database.close()


# Person p has the nodes 2p and 2p + 1, and the name of the first. Of `every` persons one is merged into the next, and
# one loses its second node.


def fill(database: Database, facts: int, persons: int, moved: float) -> None:
    """So many facts of these persons, a share of whom is merged or cut afterwards; tables are there, and empty."""
    columns, every = "tenant, node, kind, scope, one_id, seq", max(2, round(2 / moved))
    told = f"SELECT 't', {_name('number')}, {_one_of(_KINDS, 'number')} AS k, if(k = 'openid', 'wx1', ''), {_owner()}"
    database.execute(f"INSERT INTO siyu.identity_map ({columns}) {told}, number FROM numbers({2 * persons})")
    to = f"if(intDiv(number, 2) % {every} = 0, {_name('2 * intDiv(number, 2) + 2')}, {_name('number')})"
    of = f"(intDiv(number, 2) % {every} = 0 OR number % {2 * every} = {every | 1})"
    told = f"SELECT 't', {_name('number')}, {_owner()}, {to}, {2 * persons} + number FROM numbers({2 * persons})"
    database.execute(f"INSERT INTO siyu.identity_moves (tenant, node, was, one_id, seq) {told} WHERE {of}")
    moves = "SELECT tenant, node, 'openid', 'wx1', one_id, seq FROM siyu.identity_moves"
    database.execute(f"INSERT INTO siyu.identity_map ({columns}) {moves}")
    first = 0
    for kind, share in _TYPES.items():
        rows = round(facts * share)
        first -= rows if kind == "order_paid" else 0  # of the orders that were submitted
        for start in range(0, rows, _CHUNK):
            _fill_events(database, kind, range(first, first + rows)[start : start + _CHUNK], (first, rows), persons)
        first += rows
    _fill_triggers(database, facts // _FACTS_A_TRIGGER, persons)


def _fill_events(database: Database, kind: str, numbers: range, of: tuple[int, int], persons: int) -> None:
    """Rows in the order of the table, which the server need not sort then; some persons have far more than others."""
    columns = {
        "tenant": "'t'",
        "event_id": f"concat('{kind}-', toString(number))",
        "event_type": f"'{kind}'",
        "touchpoint": _one_of(_PLACES, _random(3)),
        "event_time_ms": f"{_moment(*of)} AS at",
        "received_ms": "at + 1500",
        "order_id": "concat('o', toString(number))" if kind.startswith("order") else "''",
        "amount_fen": f"1000 + {_random(4)} % 90000" if kind.startswith("order") else "NULL",
        **_whose(persons),
    }
    told = ", ".join(columns.values())
    rows = f"numbers({numbers.start}, {len(numbers)})"
    database.execute(f"INSERT INTO siyu.events ({', '.join(columns)}) SELECT {told} FROM {rows}")


def _fill_triggers(database: Database, rows: int, persons: int) -> None:
    columns = {
        "tenant": "'t'",
        "trigger_id": "concat('t', toString(number))",
        "rule": _one_of(_RULES, _random(3)),
        "fired_time_ms": _moment(0, rows),
        **_whose(persons),
    }
    told = ", ".join(columns.values())
    database.execute(f"INSERT INTO siyu.triggers ({', '.join(columns)}) SELECT {told} FROM numbers({rows})")


def _whose(persons: int) -> dict[str, str]:
    person = f"toUInt64({persons} * pow(({_random(1)} % 1000003) / 1000003, 2))"
    return {"node": _name(f"(2 * {person} AS first) + {_random(2)} % 3 % 2"), "one_id": _name("first")}


def _owner() -> str:
    return _name("2 * intDiv(number, 2)")


def _name(number: str) -> str:
    """32 hex digits, as names of nodes are."""
    halves = [f"toFixedString(reinterpretAsString(intHash64({number} + {salt})), 8)" for salt in (1, 2)]
    return f"lower(concat(hex({halves[0]}), hex({halves[1]})))"


def _random(salt: int) -> str:
    return f"intHash64(number * 8 + {salt})"


def _one_of(words: str, number: str) -> str:
    listed = words.split()
    return f"transform({number} % {len(listed)}, {list(range(len(listed)))}, {listed}, '')"


def _moment(first: int, rows: int) -> str:
    """Times go up with the number, over all days; most of a day is around noon (20:00 in Shanghai)."""
    day = f"(number - {first}) * {_DAYS} / {rows} AS day"
    in_day = "if((day - floor(day) AS part) < 0.5, sqrt(part / 2), 1 - sqrt((1 - part) / 2))"
    return f"{_SINCE_MS} + toInt64(floor({day})) * {_DAY_MS} + toInt64({in_day} * {_DAY_MS})"


def _busy(database: Database, moved: float) -> str:
    """A person that another was merged into, with some dozens of events."""
    every = max(2, round(2 / moved))
    return str(database.query(f"SELECT {_name(f'2 * ({1000 * every} + 1)')}").rows[0][0])


def asked(way: Asked, one_id: str) -> str:
    """The SQL of this way, about this person."""
    return way.sql.format(table=way.table, one_id=one_id)


def _ask(database: Database, question: str, ways: Sequence[Asked], one_id: str) -> None:
    took = {one.way: _least(database, asked(one, one_id)) for one in ways if database.version >= one.needs}
    ratios = {f"{way}_to_floor": took[way] / took["floor"] for way in took if way != "floor"}
    tell("views", question=question, **{f"{way}_s": seconds for way, seconds in took.items()}, **ratios)


def _least(database: Database, sql: str) -> float:
    took: list[float] = []
    for _ in range(_TRIES):
        began = time.perf_counter()
        database.query(sql)
        took.append(time.perf_counter() - began)
    return min(took)


if __name__ == "__main__":
    main()
