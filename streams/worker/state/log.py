"""Frames of one partition of an internal topic, read by ourselves and not through Faust.

In: a log, the number of the first frame that is wanted, a later frame. Out: all frames from the one to the other.
Never: a frame passed over in silence; a record of a transaction that was not committed; a commit.

Faust loses frames: after a rebalance it may hand out what it fetched before, take what lies between for a gap, drop it
when it comes, and commit an offset behind it. So frames are numbered without gaps, and who works them counts.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from streams.settings import Settings
from streams.worker.clients import Record, follow, read
from streams.worker.work import Abandoned, Item

log = logging.getLogger(__name__)

_PATIENCE_S = 5.0
_TRIES = 12


class OtherLog(Exception):
    """State and topic don't belong together: the topic was made anew, or cut off before it was read."""


@dataclass(frozen=True, slots=True)
class Log:
    """A partition whose frames have a `number` each, without gaps; one that `begins_late` need not have the first."""

    settings: Settings
    topic: str
    partition: int
    number: Callable[[Item], int]
    begins_late: bool = False

    def batches(self, wanted: int, last: Item, max_bytes: int, stopping: threading.Event) -> Iterator[list[Item]]:
        """All frames from number `wanted` to `last`, in batches of about `max_bytes`.

        Raises:
            OtherLog: the topic does not have all of them.
            BrokerUnavailable: the broker does not answer, or refuses.
            Abandoned: `stopping` was set.
        """
        batch: list[Item] = []
        size = 0
        for item in self._every(wanted, last, stopping):
            batch.append(item)
            size += len(item.value)
            if size >= max_bytes:
                yield batch
                batch, size = [], 0
        if batch:
            yield batch

    def _every(self, wanted: int, last: Item, stopping: threading.Event) -> Iterator[Item]:
        end = self.number(last)
        for item in self._from(self._start(wanted, last), stopping):
            number = self.number(item)
            if number > wanted:
                wanted = self._after_gap(wanted, number)
            if number == wanted:
                yield item
                wanted += 1
            if wanted > end:
                return
        raise OtherLog(f"{self.topic}/{self.partition} does not have frame {wanted}")

    def _after_gap(self, wanted: int, number: int) -> int:
        said = f"{self.topic}/{self.partition}: frame {wanted} is wanted, but the next that is there is {number}"
        if wanted or not self.begins_late:
            raise OtherLog(said)
        log.error("%s: what was before is LOST here", said)
        return number

    def _from(self, start: int, stopping: threading.Event) -> Iterator[Item]:
        """What is committed from this offset on, and what soon will be."""
        quiet = 0
        while quiet < _TRIES and not stopping.is_set():
            quiet += 1
            for record in follow(self.settings, self.topic, {self.partition: start}, _PATIENCE_S):
                start, quiet = record.offset + 1, 0
                yield _item(record)
                if stopping.is_set():
                    break
        if stopping.is_set():
            raise Abandoned

    def _start(self, wanted: int, last: Item) -> int:
        """An offset at or before the wanted frame: there may be more offsets than frames, so it feels its way back."""
        back = self.number(last) - wanted
        while (start := last.offset - back) > 0:
            first = next(read(self.settings, self.topic, {self.partition: start}), None)
            if first is not None and self.number(_item(first)) <= wanted:
                return start
            back = 2 * back + 1
        return 0

    def assert_reaches(self, offset: int) -> None:
        """Makes sure that the topic reaches as far as a state that stands for all below this offset.

        Else records of a topic that was made anew would be taken for what was worked already.

        Raises:
            OtherLog: it does not.
            BrokerUnavailable: the broker does not answer, or refuses.
        """
        last = next(read(self.settings, self.topic, {self.partition: offset - 1}), None) if offset else None
        if offset and (last is None or last.offset < offset - 1):
            raise OtherLog(f"{self.topic}/{self.partition} ends before offset {offset} of the state: was it made anew?")


def _item(record: Record) -> Item:
    return Item(record.offset, record.value, None)
