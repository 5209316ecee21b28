"""Who gets nothing, so that it can be told what sending does: a share of persons, always the same ones.

In: the one_id, which derives from the founding node. Out: whether the person is in the share. Never: a random number.

The one_id of the older person stays after a merge, and so does the arm.
"""

from __future__ import annotations

from xxhash import xxh3_64_intdigest

_PARTS = 10_000


def in_share(one_id: str, of: str, percent: float) -> bool:
    """Whether the person is among this share (in percent, to a hundredth) of `of`; nobody ("") is in none.

    Shares of the same `of` nest: who is in 5 % is in 10 %. Those of different ones are independent.
    """
    if not one_id or not percent:
        return False
    return xxh3_64_intdigest(f"{of}\x1f{one_id}".encode()) % _PARTS < round(percent * _PARTS / 100)
