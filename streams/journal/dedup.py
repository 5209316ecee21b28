"""Which events have been seen before: the same tenant and event_id within a window of journal time.

In: hashes of tenant and event_id, and journal time. Out: whether it is a repeat. Never: the wall clock.

Hashes stand in buckets of an hour that expire whole, so an event is remembered for the window and up to an hour more:
until every source has been read so far, since the repeat may come by one that lags.
64-bit hashes: among a billion remembered events, one in 18 billion new ones is mistaken for a repeat.
Memory: about 95 bytes an event while it is remembered, 8 bytes in the store.
"""

from __future__ import annotations

from array import array

from xxhash import xxh3_64_intdigest

from streams.journal.tables import Tables

HOUR_MS = 3_600_000


class Dedup:
    """Rows `bucket|journal offset` → packed hashes that were first seen in that frame and hour."""

    def __init__(self, tables: Tables, window_ms: int) -> None:
        self._rows = tables.table("dedup")
        self._window_ms = window_ms
        self._fresh: dict[int, array[int]] = {}
        self._seen: set[int] = set()
        for packed in self._rows.values():
            self._seen.update(_unpack(packed))
        self.expires_ms = self._next_expiry()

    def first(self, tenant: str, event_id: str, now_ms: int) -> bool:
        """Whether this event is new; from now on it no longer is."""
        digest = xxh3_64_intdigest(f"{tenant}\x1f{event_id}".encode())
        if digest in self._seen:
            return False
        self._seen.add(digest)
        bucket = now_ms // HOUR_MS
        fresh = self._fresh.get(bucket)
        if fresh is None:
            fresh = self._fresh[bucket] = array("Q")
            self.expires_ms = min(self.expires_ms, (bucket + 1) * HOUR_MS + self._window_ms)
        fresh.append(digest)
        return True

    def end(self, offset: int) -> None:
        """Closes the frame at this journal offset: what it saw becomes rows."""
        for bucket, hashes in self._fresh.items():
            self._rows.put(f"{bucket:012d}|{offset:016d}", hashes.tobytes())
        self._fresh.clear()
        self.expires_ms = self._next_expiry()

    def expire(self, now_ms: int) -> None:
        """Forgets the buckets that ended more than the window ago; `now_ms` is the clock of all sources."""
        for key in [key for key in self._rows if _ends_ms(key) + self._window_ms < now_ms]:
            self._seen.difference_update(_unpack(self._rows[key]))
            self._rows.drop(key)
        for bucket in [bucket for bucket in self._fresh if (bucket + 1) * HOUR_MS + self._window_ms < now_ms]:
            self._seen.difference_update(self._fresh.pop(bucket))
        self.expires_ms = self._next_expiry()

    def _next_expiry(self) -> int:
        ends = [_ends_ms(key) for key in self._rows] + [(bucket + 1) * HOUR_MS for bucket in self._fresh]
        return min(ends, default=1 << 62) + self._window_ms

    def __len__(self) -> int:
        return len(self._seen)


def _unpack(packed: bytes) -> array[int]:
    hashes: array[int] = array("Q")
    hashes.frombytes(packed)
    return hashes


def _ends_ms(key: str) -> int:
    return (int(key.partition("|")[0]) + 1) * HOUR_MS
