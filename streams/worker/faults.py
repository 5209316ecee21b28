"""What the log tells of an exception that nobody expected: a sentence where it is known to be harmless, else its place.

In: an exception. Out: a text. Never: a text of a library's, which may quote the data that it was given.
"""

from __future__ import annotations

from confluent_kafka import KafkaException

from streams.poison import OURS, place_of, trace_of

_HARMLESS = (KafkaException, OSError)
"""They name servers and files."""


def told_of(error: BaseException) -> str:
    """Its kind, and what it says if it is one of our own, of Kafka or of the system; else where it was raised."""
    kind = type(error)
    if kind.__module__.split(".")[0] in OURS or isinstance(error, _HARMLESS):
        return f"{kind.__name__}: {error}"
    return place_of(error)


def traced(error: BaseException) -> str:
    """The same, after the way that it took."""
    return f"{trace_of(error)}{told_of(error)}"
