"""`siyu journal record`: the whole journal into a file, for a backtest or a bug report.

In: the journal topic. Out: a file, see `journal.recording`. Never: half a recording under the name that was asked for.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from streams.cli.arguments import add_action, add_json
from streams.cli.failure import Failure, Misuse
from streams.cli.tables import print_json
from streams.journal.recording import Header, Recorded, write
from streams.settings import Settings
from streams.topics import JOURNAL
from streams.worker.clients import read
from streams.worker.control import first_offsets

NAME = "journal"
HELP = "save the journal to a file, for a backtest"
EXAMPLE = "siyu journal record journal.msgpack --shard 0 2"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`record`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    record = add_action(actions, "record", "save the journal as it stands now", EXAMPLE)
    record.add_argument("file", metavar="FILE", type=Path, help="is replaced if it is there")
    record.add_argument("--shard", metavar="N", type=int, nargs="+", help="only these shards (default: all)")
    add_json(record)


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """0 when the file is whole."""
    starts = {shard: start for (_, shard), start in first_offsets(settings, [JOURNAL]).items()}
    there = sorted(starts)
    shards = sorted(set(arguments.shard or there))
    if strangers := set(shards) - set(there):
        raise Misuse(f"there is no shard {min(strangers)}: the journal has {there[0]} to {there[-1]}")
    header = Header(len(there), tuple(shards), int(time.time() * 1000))
    number = _save(arguments.file, header, _records(settings, {shard: starts[shard] for shard in shards}))
    if arguments.json:
        print_json({"records": number, "shards": shards, "file": str(arguments.file)})
    else:
        print(f"recorded {number} journal records of {len(shards)} shards in {arguments.file}")
    return 0


def _records(settings: Settings, starts: Mapping[int, int]) -> Iterator[Recorded]:
    for record in read(settings, JOURNAL, starts):
        yield Recorded(record.partition, record.offset, record.value)


def _save(path: Path, header: Header, records: Iterator[Recorded]) -> int:
    partial = path.with_name(path.name + ".partial")
    if path.is_dir():
        raise Failure(f"{path} is a folder")
    try:
        with partial.open("wb") as file:
            number = write(file, header, records)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return number
