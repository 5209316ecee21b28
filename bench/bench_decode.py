"""What decoding costs: three decoders side by side, then the stages of ours, then the whole.

In: nothing. Out: one JSON line per subject: events/s and CPU microseconds per event, the best of several runs on
batches of 2000 realistic events. Never: a server, a file.

`python -m bench.bench_decode`. Ratios hold from machine to machine, absolutes do not.
"""

from __future__ import annotations

import io
import json
import random
import time
from collections.abc import Callable
from typing import Any, Final

import fastavro
import pyarrow as pa
import pyruhvro
from avro.io import BinaryDecoder, DatumReader
from avro.schema import parse as parse_strictly

from schemas.arrow import read_batch
from schemas.codec import decode_one, encode, frame, split
from schemas.flatten import flatten
from schemas.registry import LocalRegistry
from schemas.released import Schema, schema
from schemas.resolution import parsed, plain, resolution, resolve
from streams.ingest.decode import decode

BATCH: Final = 2000
_RUNS: Final = 7
_AT_LEAST_S: Final = 0.3
_MP: Final = "wx6f1d20c8e47ab935"


def an_event(number: int, dice: random.Random) -> dict[str, Any]:
    """One event of the usual mix: two in three are views, most have two ids and a few properties."""
    kind = dice.choice(["page_view", "product_view", "product_view", "add_to_cart", "order_paid", "share"])
    bought = kind == "order_paid"
    ids = [_id("openid", f"o{dice.getrandbits(120):030x}", _MP)]
    if dice.random() < 0.8:
        ids.append(_id("unionid", f"u{dice.getrandbits(108):027x}"))
    if bought or dice.random() < 0.1:
        ids.append(_id("phone", f"138{dice.randrange(10**8):08d}"))
    properties = {"page": f"pages/{kind}/index", "session": f"{dice.getrandbits(48):012x}", "city": "上海"}
    return {
        "event_id": f"mp-{number:012x}",
        "tenant": "lanyue",
        "event_type": kind,
        "event_time": 1_791_432_000_000 + number,
        "touchpoint": "miniprogram",
        "scene": dice.choice([None, "1007", "1044"]),
        "channel": None,
        "campaign": dice.choice([None, "autumn-serum"]),
        "identities": ids,
        "order_id": f"SO{number:014d}" if bought else None,
        "amount_fen": dice.randrange(100_000) if bought else None,
        "item_id": f"SKU-{dice.randrange(500)}",
        "category": "skincare",
        "referrer": None,
        "properties": dict(list(properties.items())[: dice.choice([0, 1, 3, 3])]),
    }


def _id(kind: str, value: str, scope: str | None = None) -> dict[str, Any]:
    return {"kind": kind, "scope": scope, "value": value}


def measure(name: str, work: Callable[[], object], events: int = BATCH) -> None:
    """Prints the best run of `work`, which handles `events` events at a time."""
    work()
    best_cpu, best_wall = min(_run(work) for _ in range(_RUNS))
    line = {
        "what": name,
        "events_per_s": round(events / best_wall),
        "cpu_us_per_event": round(best_cpu / events * 1e6, 2),
    }
    print(json.dumps(line), flush=True)


def _run(work: Callable[[], object]) -> tuple[float, float]:
    """CPU and wall seconds of one call, over as many as take a while."""
    cpu, wall, calls = time.process_time(), time.perf_counter(), 0
    while time.perf_counter() - wall < _AT_LEAST_S:
        work()
        calls += 1
    return (time.process_time() - cpu) / calls, (time.perf_counter() - wall) / calls


def newer() -> Schema:
    """A version after ours, as another producer may already write it."""
    return {**schema("behaviour_event"), "fields": [*schema("behaviour_event")["fields"], _LOCALE]}


_LOCALE: Final = {"name": "locale", "type": ["null", "string"], "default": None}


def decoders(bodies: list[bytes]) -> None:
    """The three decoders on bodies alone, into records or Arrow columns."""
    shape = parsed("behaviour_event")
    bare = json.dumps(plain(schema("behaviour_event")))
    reference = DatumReader(parse_strictly(bare))

    def by_fastavro() -> list[Any]:
        return [fastavro.schemaless_reader(io.BytesIO(body), shape, None) for body in bodies]

    measure("avro to records", lambda: [reference.read(BinaryDecoder(io.BytesIO(body))) for body in bodies])
    measure("fastavro to records", by_fastavro)
    measure("fastavro to records to Arrow", lambda: pa.RecordBatch.from_pylist(by_fastavro()))
    measure("pyruhvro to Arrow, unguarded", lambda: pyruhvro.deserialize_array(bodies, bare))


def ours(values: list[bytes], bodies: list[bytes]) -> None:
    """The stages of `decode`, and the whole of it on good, spoilt and foreign batches."""
    registry = LocalRegistry()
    by, other = resolution(registry, split(values[0])[0]), resolve(newer())
    nested = read_batch(by, bodies).records
    longer = [body + b"\0" for body in bodies]
    spoilt = [*values[:-1], values[-1][:-1]]
    measure("ours: read_batch (guarded pyruhvro)", lambda: read_batch(by, bodies))
    measure("ours: read_batch, newer writer", lambda: read_batch(other, longer))
    measure("ours: flatten", lambda: flatten(nested))
    measure("ours: decode", lambda: decode(values, registry))
    measure("ours: decode, one record cut short", lambda: decode(spoilt, registry))
    measure("ours: decode, all records cut short", lambda: decode([value[:-1] for value in values], registry))
    measure("ours: decode_one", lambda: [decode_one(value, registry) for value in values])


def main() -> None:
    """Everything, on the same events."""
    dice = random.Random(7)
    records = [an_event(number, dice) for number in range(BATCH)]
    values = [encode("behaviour_event", record, 1) for record in records]
    bodies = [split(value)[1] for value in values]
    print(json.dumps({"what": "batch", "events": BATCH, "bytes_per_event": round(sum(map(len, values)) / BATCH)}))
    decoders(bodies)
    ours(values, bodies)
    measure("ours: encode", lambda: [encode("behaviour_event", record, 1) for record in records])
    measure("ours: frame", lambda: [frame(1, body) for body in bodies])


if __name__ == "__main__":
    main()
