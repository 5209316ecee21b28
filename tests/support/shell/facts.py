"""The real memory sink, as a value that can be copied and compared.

In: batches. Out: rows. Never: an order of rows that means anything.
"""

from __future__ import annotations

from collections.abc import Hashable

import pyarrow as pa

from sinks.memory import MemorySink

_TEXTS: dict[int, tuple[pa.RecordBatch, str]] = {}


class Facts(MemorySink):
    """What stands in the sink."""

    def copy(self) -> Facts:
        """Another sink with the same rows."""
        other = Facts()
        other.batches = {table: list(batches) for table, batches in self.batches.items()}
        return other

    def key(self) -> Hashable:
        """Equal for sinks with the same rows."""
        return tuple((table, tuple(sorted(map(_text, batches)))) for table, batches in sorted(self.batches.items()))


def _text(batch: pa.RecordBatch) -> str:
    """Its rows; remembered with the batch, which does not change and must live on for its id to mean it."""
    if id(batch) not in _TEXTS:
        _TEXTS[id(batch)] = batch, repr(batch.to_pylist())
    return _TEXTS[id(batch)][1]
