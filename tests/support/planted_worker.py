"""`python -m tests.support.planted_worker FAULT WHERE worker ROLE`: a real worker with a fault planted in our own code.

In: which fault, and where: an event id, or `shard:journal offset`. Out: the worker's exit code.
Never: a hook in the product; a fault that heals by itself, but `opening`, which ends when the file WHERE is there.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from streams.cli.main import main
from tests.support.planted import Planted, bad_events

COMMAND = (sys.executable, "-m", "tests.support.planted_worker")


def _hang() -> None:
    threading.Event().wait()


@contextmanager
def _bad_event(where: str) -> Iterator[None]:
    with bad_events(lambda id_: id_.startswith(where)):
        yield


@contextmanager
def _in_ingest(where: str, act: Callable[[], None]) -> Iterator[None]:
    """Does this when an event of this id is normalised."""
    from streams.ingest.normalise import normalise  # noqa: PLC0415

    def planted(events: Any, ids: Any) -> Any:
        if where in events["event_id"].to_pylist():
            act()
        return normalise(events, ids)

    with patch("streams.ingest.intake.normalise", planted):
        yield


def _raise() -> None:
    raise Planted("13912345678")


@contextmanager
def _in_fold(where: str) -> Iterator[None]:
    """The fold of this shard hangs when it comes to this journal offset."""
    from streams.worker.fold import Fold  # noqa: PLC0415

    shard, offset = map(int, where.split(":"))
    process = Fold.process

    def planted(self: Any, items: Sequence[Any]) -> None:
        if self._shard == shard and items[-1].offset >= offset:
            _hang()
        process(self, items)

    with patch.object(Fold, "process", planted):
        yield


@contextmanager
def _in_put(where: str, act: Callable[[], None]) -> Iterator[None]:
    """Frames of this shard from this journal offset on never get to their lane."""
    from streams.worker.app import Lanes  # noqa: PLC0415

    shard, offset = map(int, where.split(":"))
    put = Lanes.put

    def planted(self: Any, event: Any) -> None:
        if event.message.partition == shard and event.message.offset >= offset:
            act()
        else:
            put(self, event)

    with patch.object(Lanes, "put", planted):
        yield


@contextmanager
def _in_write(where: str, act: Callable[[], None]) -> Iterator[None]:
    """Writing blocks of this shard does this from this journal offset on."""
    from sinks.writer import BlockWriter  # noqa: PLC0415

    shard, offset = map(int, where.split(":"))
    write = BlockWriter.write

    def planted(self: Any, frames: Any) -> Any:
        if self._shard == shard and frames[-1].journal_offset >= offset:
            act()
        return write(self, frames)

    with patch.object(BlockWriter, "write", planted):
        yield


@contextmanager
def _opening(where: str) -> Iterator[None]:
    """Shard 0 is not restored before this file is there."""
    from streams.worker.fold import Fold  # noqa: PLC0415

    opened = Fold.open

    def planted(self: Any) -> int:
        while self._shard == 0 and not Path(where).exists():
            time.sleep(0.01)
        return opened(self)

    with patch.object(Fold, "open", planted):
        yield


@contextmanager
def _out_of_its_group(where: str) -> Iterator[None]:
    """aiokafka's membership ends as when a broker dies while its answer is taken in."""
    with patch("aiokafka.client.AIOKafkaClient.coordinator_lookup", side_effect=AssertionError(where)):
        yield


FAULTS: dict[str, Callable[[str], Any]] = {
    "bad_event": _bad_event,
    "bad_record": lambda where: _in_ingest(where, _raise),
    "ingest_hangs": lambda where: _in_ingest(where, _hang),
    "fold_hangs": _in_fold,
    "loop_hangs": lambda where: _in_put(where, _hang),
    "out_of_its_group": _out_of_its_group,
    "consumer_is_silent": lambda where: _in_put(where, lambda: None),
    "bad_block": lambda where: _in_write(where, _raise),
    "write_hangs": lambda where: _in_write(where, _hang),
    "opening": _opening,
}

if __name__ == "__main__":
    fault, place, *arguments = sys.argv[1:]
    with FAULTS[fault](place):
        sys.exit(main(arguments))
