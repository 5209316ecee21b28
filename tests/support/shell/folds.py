"""What a fold makes of frames, as bytes: the real engine's, and one so plain that a million steps of it are cheap.

In: the rows of a state, frames of the journal. Out: `Folded`: what would be published, what changed, the rows after.
Never: state of its own: a fold is a function, and remembers only to be faster.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache, lru_cache
from hashlib import blake2b
from typing import NamedTuple

import msgpack

from schemas.codec import encode
from schemas.frames import Resolved, encode_resolved
from schemas.registry import LocalRegistry
from streams.engine import Engine, EngineConfig
from streams.journal.frame import decode_frame
from streams.journal.tables import Change, Tables
from tests.support.frames import SALT

Rows = tuple[tuple[str, str, bytes], ...]
"""A state: table, key and packed value of each row, in order."""


class Folded(NamedTuple):
    """What came of some frames: (topic, value) of each public record, a resolved frame each, and the state."""

    public: tuple[tuple[str, bytes], ...]
    resolved: tuple[bytes, ...]
    changes: tuple[Change, ...]
    rows: Rows


Fold = Callable[[Rows, int, tuple[bytes, ...]], Folded]
"""The state, the journal offset of the first frame, the frames."""


def packed(changes: Iterable[Change]) -> Rows:
    """Rows in order, their values packed."""
    return tuple(sorted((table, key, msgpack.packb(value)) for table, key, value in changes))


def unpacked(rows: Rows) -> list[Change]:
    """The rows as a store gives them."""
    return [Change(table, key, msgpack.unpackb(value, use_list=False)) for table, key, value in rows]


_LIVE: dict[Rows, Engine] = {}
"""Engines by the state that they have come to: one who goes on from there need not be restored."""


@lru_cache(maxsize=1 << 12)
def by_engine(rows: Rows, offset: int, frames: tuple[bytes, ...]) -> Folded:
    """By `streams.engine.Engine`, one that comes from there or is restored. Raises MissingRange."""
    engine = _LIVE.pop(rows, None) or Engine(0, EngineConfig(SALT), Tables(unpacked(rows)))
    outputs = [engine.step(at, decode_frame(frame)) for at, frame in enumerate(frames, offset)]
    public = [(topic, _encoded(subject, record)) for output in outputs for topic, _, subject, record in output.public]
    resolved = [encode_resolved(output.resolved) for output in outputs]
    changes, after = tuple(engine.tables.take_changes()), packed(engine.tables.rows())
    _LIVE[after] = engine
    return Folded(tuple(public), tuple(resolved), changes, after)


def _encoded(subject: str, record: dict[str, object]) -> bytes:
    registry = _registry()
    return encode(subject, record, registry.id_of(subject))


@cache
def _registry() -> LocalRegistry:
    return LocalRegistry()


@cache
def by_chain(rows: Rows, offset: int, frames: tuple[bytes, ...]) -> Folded:
    """Each frame is added to a chain of hashes: a frame that is lost, doubled or misplaced shows in all that follows.

    Each frame needs all rows and changes two of three: a state that is half there shows as well.
    """
    tables = Tables(unpacked(rows))
    links = tables.table("links")
    public, resolved = [], []
    for at, frame in enumerate(frames, offset):
        link = blake2b(repr((sorted(links.items()), at, frame)).encode(), digest_size=4).hexdigest()
        links.put(("even", "odd")[at % 2], link)
        links.put("last", link)
        public.append(("triggers.coupon", f"trigger {link}".encode()))
        resolved.append(encode_resolved(Resolved(0, at, int(link, 16))))
    return Folded(tuple(public), tuple(resolved), tuple(tables.take_changes()), packed(tables.rows()))


def folded(fold: Fold, journal: Sequence[bytes]) -> Folded:
    """The plain fold of a whole journal, frame by frame: what everything is compared with."""
    public: list[tuple[str, bytes]] = []
    resolved: list[bytes] = []
    rows: Rows = ()
    for offset, frame in enumerate(journal):
        one = fold(rows, offset, (frame,))
        public += one.public
        resolved += one.resolved
        rows = one.rows
    return Folded(tuple(public), tuple(resolved), (), rows)
