"""MessagePack for many small values: the rows of state.

In: values, or packed ones. Out: the other. Never: a list where a tuple went in, or one call for each value back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgpack


def packer() -> Callable[[Any], bytes]:
    """Packs one value a call, for one thread; half again as fast as `msgpack.packb`, which makes a packer each time."""
    pack: Callable[[Any], bytes] = msgpack.Packer().pack
    return pack


def unpack_all(values: Iterable[bytes]) -> tuple[Any, ...]:
    """The values of packed ones, all in one call as an array of them: half of the time of one call each."""
    packed = list(values)
    found: tuple[Any, ...] = msgpack.unpackb(
        b"".join((b"\xdd", len(packed).to_bytes(4, "big"), *packed)), use_list=False
    )
    return found
