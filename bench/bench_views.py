"""How fast facts answer by today's identity: the join with the nodes that moved, beside one with all nodes.

In:    how many facts and nodes, and the share of nodes that changed persons, made on the server by INSERT ... SELECT.
Out:   one JSON line a question: the least seconds of three tries.
Never: the sink's writer, our own traffic.

    python -m bench.bench_views --facts 50000000 --nodes 5000000 --moved 0.1
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

from sinks.migrations import runner
from sinks.native import Address, NativeSink
from streams.worker.servers import clickhouse_server
from streams.worker.servers.process import HOST

_HASH = "lower(hex(MD5(toString({}))))"
_ALL_NODES = """
SELECT one_id, count() FROM
(
    SELECT if(named = 1, now_id, one_id_then) AS one_id
    FROM (SELECT node, one_id AS one_id_then FROM siyu.events)
    ANY LEFT JOIN (SELECT node, one_id AS now_id, 1 AS named FROM siyu.identity_now) USING (node)
)
GROUP BY one_id ORDER BY count() DESC LIMIT 10"""


def main() -> None:
    """Makes the tables, asks, prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--facts", type=int, default=50_000_000)
    parser.add_argument("--nodes", type=int, default=5_000_000)
    parser.add_argument("--moved", type=float, default=0.1)
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        clickhouse_server(Path(folder), max_memory_bytes=8 * 1024**3) as server,
    ):
        database = NativeSink(Address(HOST, server.port, answer_within_s=600.0))
        runner.apply(database)
        _fill(database, given.facts, given.nodes, int(given.nodes * given.moved))
        for name, sql in _questions().items():
            _report(database, name, sql)
        database.close()


def _fill(database: NativeSink, facts: int, nodes: int, moved: int) -> None:
    """Node n is of person n, and the first `moved` of them went to person n + 1; a fact is of a node by its number."""
    node = _HASH.format("number")
    person = _HASH.format("number + 1")
    columns = "tenant, node, kind, one_id, seq"
    database.execute(
        f"INSERT INTO siyu.identity_map ({columns}) SELECT 't', {node}, 'openid', {node}, number FROM numbers({nodes})"
    )
    told = f"SELECT 't', {node}, 'openid', {person}, {nodes} + number FROM numbers({moved})"
    database.execute(f"INSERT INTO siyu.identity_map ({columns}) {told}")
    told = f"SELECT 't', {node}, {node}, {person}, {nodes} + number FROM numbers({moved})"
    database.execute(f"INSERT INTO siyu.identity_moves (tenant, node, was, one_id, seq) {told}")
    of = _HASH.format(f"intHash64(number) % {nodes}")
    started, done, chunk = time.perf_counter(), 0, 5_000_000
    while done < facts:
        rows = min(chunk, facts - done)
        told = f"SELECT 't', concat('e', toString(number)), 'page_view', 1718000000000 + number * 50, {of} AS n, n"
        names = "tenant, event_id, event_type, event_time_ms, node, one_id"
        database.execute(f"INSERT INTO siyu.events ({names}) {told} FROM numbers({done}, {rows})")
        done += rows
    print(json.dumps({"facts": facts, "nodes": nodes, "moved": moved, "filled_s": time.perf_counter() - started}))


def _questions() -> dict[str, str]:
    one = "(SELECT one_id FROM siyu.identity_moves ORDER BY seq LIMIT 1)"
    whose = f"tenant = 't' AND one_id = {one}"
    theirs = f"SELECT node FROM siyu.identity_map WHERE {whose}"
    return {
        "count of facts": "SELECT count() FROM siyu.events WHERE node != ''",
        "persons with most facts, as reported then": "SELECT one_id, count() FROM siyu.events GROUP BY one_id "
        "ORDER BY count() DESC LIMIT 10",
        "persons with most facts, as known now": "SELECT one_id, count() FROM siyu.events_now GROUP BY one_id "
        "ORDER BY count() DESC LIMIT 10",
        "the same by a join with all nodes": _ALL_NODES,
        "facts whose person changed": "SELECT count() FROM siyu.events_now WHERE one_id != one_id_then",
        "one person's facts by their nodes": f"SELECT count() FROM siyu.events WHERE node IN ({theirs})",
        "one person's path by the view": f"SELECT count() FROM siyu.customer_path WHERE {whose}",
    }


def _report(database: NativeSink, name: str, sql: str) -> None:
    took: list[float] = []
    for _ in range(3):
        started = time.perf_counter()
        try:
            database.query(sql)
        except ValueError as error:
            print(json.dumps({"question": name, "failed": str(error)[:120]}))
            return
        took.append(time.perf_counter() - started)
    print(json.dumps({"question": name, "seconds": round(min(took), 2)}))


if __name__ == "__main__":
    main()
