"""Keeps one record that makes our own code raise from stopping the source that it came from.

In: a cut, and what turns cuts into batches. Out: the batch, in which that record is a dead letter.
Never: a dead letter for a fault that lies outside of the record: a registry that is away, memory that is gone.

Halves of the cut are tried until the record is found, so a good cut costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from schemas.registry import RegistryUnavailable
from streams.ingest.align import Cut
from streams.ingest.intake import NOTHING, Batch
from streams.poison import place_of

MOST: Final = 100
"""Records of one cut that may raise; more are no poison, but a fault of this release."""

_OUTSIDE: Final = (RegistryUnavailable, MemoryError)

Process = Callable[[Cut, Mapping[int, str]], Batch]
"""`Intake.process`, or what stands for it."""


def isolated(process: Process, cut: Cut) -> Batch:
    """The batch of this cut; the same cut always gives the same.

    Raises what `process` does where no single records are to blame, or more than MOST.
    """
    try:
        return process(cut, NOTHING)
    except _OUTSIDE:
        raise
    except Exception as error:
        faulty = _faulty(process, cut, range(len(cut.records)))
        if len(faulty) > MOST:
            raise error from None
    return process(cut, faulty)


def _faulty(process: Process, cut: Cut, at: Sequence[int]) -> dict[int, str]:
    """The indices, among these, of records that raise, with what they raised; about MOST at most."""
    try:
        process(_part(cut, at), NOTHING)
        return {}
    except _OUTSIDE:
        raise
    except Exception as error:
        if len(at) <= 1:
            return dict.fromkeys(at, place_of(error))
    middle = len(at) // 2
    found = _faulty(process, cut, at[:middle])
    return found if len(found) > MOST else found | _faulty(process, cut, at[middle:])


def _part(cut: Cut, at: Sequence[int]) -> Cut:
    return cut._replace(records=[cut.records[index] for index in at])
