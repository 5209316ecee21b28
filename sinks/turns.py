"""Whose turn it is: of all who are told to do what only one may do at a time, one does it.

In: a database, who asks. Out: the turn for as long as the holder is there; a sentence for everybody else.
Never: a comparison of two clocks; a turn that only an operator can end.

Entries are numbered, as in the ledger of blocks: one is appended behind the newest, and counts if it then stands last
and alone. The holder appends one every `BEAT_S`. Who asks looks at the newest for `QUIET_S`: if nothing comes after it,
its holder is gone. A holder that was only away finds out at its next entry, at the latest before the one step that
others must not be disturbed by.
"""

from __future__ import annotations

import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any

import pyarrow as pa

from sinks.sink import Database, Guard, Sink, SinkUnavailable

TABLE = "sink_turns"
BEAT_S = 3.0
QUIET_S = 15.0
_LOOK_S = 0.2
_HELD, _RELEASED = "held", "released"
_SCHEMA = pa.schema(
    [
        *(("what", pa.string()), ("n", pa.uint64()), ("owner", pa.string()), ("holder", pa.string())),
        *(("state", pa.string()), ("noted_ms", pa.int64())),
    ]
)


class NotOurTurn(Exception):
    """Somebody else is at it; the message says who, and what to do."""


class Turn:
    """A turn that was taken. Safe to use from several threads."""

    def __init__(self, sink: Sink, what: str) -> None:
        self._sink = sink
        self._what = what
        self._owner = secrets.token_hex(8)
        self._holder = f"{socket.gethostname()}, process {os.getpid()}"
        self._lock = threading.Lock()

    def take(self, quiet_s: float = QUIET_S) -> None:
        """Comes back when it is ours. Raises NotOurTurn, SinkUnavailable."""
        while True:
            newest = self._newest()
            while newest is not None and newest["state"] == _HELD and not self._is_quiet(newest, quiet_s):
                newest = self._newest()
            if self._append(newest, _HELD):
                return

    def _is_quiet(self, newest: dict[str, Any], quiet_s: float) -> bool:
        """Whether nothing came after this entry for so long; False where it was released meanwhile."""
        jitter = quiet_s * secrets.randbelow(100) / 400  # of two who asked in the same moment neither has got it
        deadline = time.monotonic() + quiet_s + jitter
        while time.monotonic() < deadline:
            time.sleep(min(_LOOK_S, quiet_s / 4))
            now = self._newest()
            if now is not None and now["state"] == _RELEASED:
                return False
            if now is not None and now["n"] != newest["n"]:
                raise NotOurTurn(
                    f"another {self._what} is under way ({now['holder']}): wait until it has ended, or end it, "
                    "then start this again"
                )
        return True

    def hold(self) -> None:
        """Says that the holder is still there. Raises NotOurTurn where it is not the holder any more."""
        with self._lock:
            newest = self._newest()
            if newest is None or newest["owner"] != self._owner or not self._append(newest, _HELD):
                said = f"another {self._what} has taken over ({newest['holder'] if newest else 'its entries are gone'})"
                raise NotOurTurn(f"{said}, since nothing had been heard of this one for {QUIET_S:g} s")

    def release(self) -> None:
        """Lets the next one in at once."""
        with self._lock:
            newest = self._newest()
            if newest is not None and newest["owner"] == self._owner:
                self._append(newest, _RELEASED)

    def _newest(self) -> dict[str, Any] | None:
        return self._sink.last(TABLE, "n", {"what": self._what})

    def _append(self, newest: dict[str, Any] | None, state: str) -> bool:
        """Whether it counts."""
        after = 0 if newest is None else int(newest["n"])
        entry = {"what": self._what, "n": after + 1, "owner": self._owner, "holder": self._holder, "state": state}
        batch = pa.RecordBatch.from_pylist([{**entry, "noted_ms": time.time_ns() // 1_000_000}], schema=_SCHEMA)
        self._sink.insert(TABLE, batch, f"siyu-turn-{self._owner}-", Guard(TABLE, "n", {"what": self._what}, after))
        last = self._newest()
        if last is None or (last["n"], last["owner"]) != (after + 1, self._owner):
            return False
        return self._sink.count(TABLE, {"what": self._what, "n": after + 1}) == 1


@contextmanager
def turn(live: Database, what: str, quiet_s: float = QUIET_S, beat_s: float = BEAT_S) -> Iterator[Turn]:
    """The turn, held by a thread with a connection of its own. Raises NotOurTurn, SinkUnavailable."""
    with closing(live.at(live.name)) as own:
        ours, ended = Turn(own, what), threading.Event()
        ours.take(quiet_s)
        beats = threading.Thread(target=_beat, args=(ours, ended, beat_s), name=f"turn-{what}", daemon=True)
        beats.start()
        try:
            yield ours
        finally:
            ended.set()
            beats.join()
            with suppress(SinkUnavailable):
                ours.release()


def _beat(ours: Turn, ended: threading.Event, beat_s: float) -> None:
    while not ended.wait(beat_s):
        try:
            ours.hold()
        except NotOurTurn:
            return  # it will be told so before what must not be done twice
        except SinkUnavailable:
            continue
