"""Stops ingest when most of a source is refused: then the producer, or our schema, is broken, not single records.

In: counts of what was kept and refused, by topic. Out: the sentence that says why to stop. Never: stops by itself.

Dead letters by the million help nobody, and refused money is late money: it is better to stand still, loudly, with
everything still in Kafka.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field


@dataclass(slots=True)
class _Recent:
    """What became of the last records of one topic, a (kept, refused) for each cut."""

    counts: deque[tuple[int, int]] = field(default_factory=deque)
    kept: int = 0
    refused: int = 0

    def add(self, kept: int, refused: int, window: int) -> None:
        self.counts.append((kept, refused))
        self.kept, self.refused = self.kept + kept, self.refused + refused
        while self.kept + self.refused - sum(self.counts[0]) >= window:
            old_kept, old_refused = self.counts.popleft()
            self.kept, self.refused = self.kept - old_kept, self.refused - old_refused


class Fuse:
    """Blows for a topic when more than `share` of its last records was refused, `least` of them at least.

    It looks at the last `window` records of the topic, rounded up to whole cuts.
    """

    def __init__(self, share: float = 0.5, least: int = 200, window: int = 5000) -> None:
        self._share = share
        self._least = least
        self._window = window
        self._topics: dict[str, _Recent] = {}

    def blown(self, topic: str, kept: int, refused: int) -> str | None:
        """Counts these records of one cut in; the reason to stop, or None."""
        recent = self._topics.setdefault(topic, _Recent())
        recent.add(kept, refused, self._window)
        total = recent.kept + recent.refused
        if recent.refused < self._least or recent.refused <= self._share * total:
            return None
        return (
            f"{recent.refused} of the last {total} records of {topic} were refused, more than {self._share:.0%}: "
            "ingest stops before more of them become dead letters"
        )
