"""Folds a shard's frames so that one item at which our own code raises does not stop all that come after it.

In: batches of frames; a way to make the engine anew as of the last commit. Out: their outputs.
Never: an output that depends on how the journal was cut, or on who folds it: live run, replay and backtest alike.

An item that raises is left out whole: the clock hears of it, and everything else is as if it had never come; a dead
letter says so. Which ones raise is a matter of journal and code alone, so a replay leaves out the same and gives the
same bytes. Much of it in a short time is not poison but a fault of this release: then the fold stops.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from streams.engine import Engine, Outputs
from streams.journal.frame import Frame
from streams.poison import Poisoned, Spot

TRIES = 3
"""An item is left out when it has raised so often, each time on a state that was made anew."""


class TooManyFaults(Exception):
    """Our own code raises at so many items that it must be wrong as a whole; nothing of this batch counts."""


def _nobody(_: Poisoned) -> None:
    pass


class Isolating:
    """The fold of one shard. `engine` is the state after what was folded last."""

    def __init__(self, renew: Callable[[], Engine], most: int, tell: Callable[[Poisoned], None] = _nobody) -> None:
        """`renew`: the engine as of the last commit; `most`: items that may be left out in an hour of the journal's
        clock; `tell` hears of each time that our code raised."""
        self._renew = renew
        self._most = most
        self._tell = tell
        self.engine = renew()
        self.rounds = 0
        """Grows with each time that a batch is begun again: it gets on, though nothing is committed yet."""

    def fold(self, batch: Sequence[tuple[int, Frame]]) -> list[Outputs]:
        """The outputs of these frames, each with its journal offset; they follow the last commit.

        Raises:
            MissingRange: the journal has a gap.
            TooManyFaults: see there.
            Poisoned: our own code raised where nothing can be left out, or never twice at one place.
        """
        try:
            return [self.engine.step(offset, frame) for offset, frame in batch]
        except Poisoned as poisoned:
            return self._isolated(batch, poisoned)

    def _isolated(self, batch: Sequence[tuple[int, Frame]], poisoned: Poisoned) -> list[Outputs]:
        left_out: dict[Spot, str] = {}
        tries: Counter[Spot] = Counter()
        while tries.total() < TRIES * (self._most + 1):
            self._tell(poisoned)
            spot = poisoned.spot
            if spot is None or spot in left_out:
                raise poisoned from None  # the text of its cause may hold an id of a person
            tries[spot] += 1
            if tries[spot] == TRIES:
                left_out[spot] = poisoned.told
            self.engine = self._renew()
            self.rounds += 1
            try:
                outputs = [self.engine.step(offset, frame, left_out) for offset, frame in batch]
            except Poisoned as again:
                poisoned = again
            else:
                return self._few(outputs)
        raise self._too_many(len(left_out))

    def _few(self, outputs: list[Outputs]) -> list[Outputs]:
        found = self.engine.tally.lately()
        if found > self._most:
            raise self._too_many(found)
        return outputs

    def _too_many(self, found: int) -> TooManyFaults:
        return TooManyFaults(
            f"our own code raised at {found} items within an hour of the journal, {self._most} are allowed: mend the "
            "code, or raise worker.most_faults"
        )
