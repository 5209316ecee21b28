"""One raw record as it was read from Kafka, before anyone looked into it.

In: nothing. Out: the type. Never: decoding.
"""

from __future__ import annotations

from operator import itemgetter
from typing import NamedTuple

from streams.journal.frame import Partition


class RawRecord(NamedTuple):
    """A record of a raw topic. `time_ms` is its timestamp in Kafka; a heartbeat only tells the time."""

    topic: str
    partition: int
    offset: int
    time_ms: int
    key: bytes | None = None
    value: bytes | None = None
    heartbeat: bool = False

    @property
    def of(self) -> Partition:
        """The raw partition that it stands in."""
        return Partition(self.topic, self.partition)


# By position, not by name: these run once a record. A plain tuple finds a Partition in a dict.
PARTITION_OF = itemgetter(0, 1)
TOPIC_OF = itemgetter(0)
OFFSET_OF = itemgetter(2)
TIME_OF = itemgetter(3)
VALUE_OF = itemgetter(5)
