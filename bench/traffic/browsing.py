"""The bulk of the traffic: people who look around, generated only while it is being read.

In: presences, scripts, how many events. Out: per bucket of simulated time, `Sent`s that were received in it.
Never: changes the truth; its counts are fixed before its first event, and it shows only ids of presences beside
placeholders and invalid phones, which stand for nobody.
"""

import random
from bisect import bisect_right
from collections import defaultdict
from dataclasses import dataclass
from itertools import accumulate, cycle, islice
from typing import Final

from bench.traffic.ids import Wire
from bench.traffic.outbox import LONGEST_LAG_MS, SHORTEST_LAG_MS
from bench.traffic.person import Presence
from bench.traffic.shelves import SCRIPTS_PER_SHELF, Shelf
from bench.traffic.spec import BEIJING_OFFSET_MS, HOUR, MINUTE, SECOND, Sent, TrafficSpec, topic_of

BUCKET_MS: Final = MINUTE
REPEAT_EVERY: Final = 97
_LONGEST_VISIT_MS: Final = 10 * MINUTE
_PLACEHOLDER_EVERY: Final = 53
_BAD_PHONE_EVERY: Final = 211
_NOBODY_EVERY: Final = 401
_RESIDUES: Final = 4096
_LATE_SHARE: Final = 0.03
_HOURLY: Final = (3, 2, 1, 1, 1, 2, 4, 7, 9, 9, 10, 11, 12, 11, 9, 9, 9, 10, 12, 14, 16, 16, 12, 7)


def _identity(kind: str, value: str) -> Wire:
    return {"kind": kind, "scope": "wx_test" if kind == "openid" else None, "value": value}


PLACEHOLDERS: Final = (
    _identity("device_id", "00000000"),
    _identity("uid", "0"),
    _identity("phone", "13800000000"),
    _identity("openid", "null"),
    _identity("cookie", "anonymous"),
    _identity("uid", "-1"),
    _identity("phone", "+8613000000000"),
    _identity("openid", "'null'"),
    _identity("device_id", "0"),
    _identity("phone", "13000000000"),
    _identity("uid", '"null"'),
    _identity("cookie", "'undefined'"),
)
BAD_PHONES: Final = tuple(_identity("phone", value) for value in ("12345", "1380013", "+86 99", "未填写"))


@dataclass(frozen=True, slots=True)
class Browsing:
    """What browsing is to be: `people` sorted by from_ms, `count` events beside repetitions."""

    spec: TrafficSpec
    people: list[Presence]
    shelf: Shelf
    count: int

    @property
    def duplicates(self) -> int:
        """How many of the events are sent a second time."""
        return -(-self.count // REPEAT_EVERY)

    def quotas(self) -> list[int]:
        """How many events begin up to the end of each bucket: the more people, the more; few at night."""
        spec = self.spec
        begins = range(spec.start_ms, max(spec.end_ms, spec.start_ms + 1), BUCKET_MS)
        arrivals = [presence.from_ms for presence in self.people]
        weights = [bisect_right(arrivals, at) * _HOURLY[(at + BEIJING_OFFSET_MS) // HOUR % 24] for at in begins]
        total = max(1, sum(weights))
        return [self.count * weight // total for weight in accumulate(weights)]


class Stroll:
    """One run through a `Browsing`; every run gives the same events."""

    def __init__(self, browsing: Browsing) -> None:
        self._spec = browsing.spec
        self._bits = random.Random(f"{browsing.spec.seed}/browsing").getrandbits
        self._people, self._count = browsing.people, browsing.count
        self._begins = [presence.from_ms for presence in browsing.people]
        self._scripts = [browsing.shelf[p.tenant, p.source] for p in browsing.people]
        self._topics = [topic_of(p.source) for p in browsing.people]
        self._quotas = browsing.quotas()
        self._lags, self._gaps, self._returns = _tables(browsing.spec.seed)
        self._later: defaultdict[int, list[Sent]] = defaultdict(list)
        self._bucket = self._written = 0

    @property
    def busy(self) -> bool:
        """Whether anything is still to come."""
        return self._written < self._count or bool(self._later)

    def next_bucket(self) -> list[Sent]:
        """What is received in the next bucket of simulated time, in no particular order."""
        begin_ms = self._spec.start_ms + self._bucket * BUCKET_MS
        here = self._later.setdefault(self._bucket, [])
        quota = self._quotas[self._bucket] if self._bucket < len(self._quotas) else self._count
        known = bisect_right(self._begins, begin_ms)
        while known and self._written < quota:
            self._visit(begin_ms, known, quota - self._written, here)
        self._bucket += 1
        return self._later.pop(self._bucket - 1)

    def _visit(self, begin_ms: int, known: int, most: int, here: list[Sent]) -> None:
        """One person's walk through one script. The hot loop of the generator: hence one long function."""
        bits = self._bits(64)
        nth = bits % known
        who = self._people[nth]
        if who.until_ms <= begin_ms + _LONGEST_VISIT_MS:
            return
        forms, topic, partition = who.forms, self._topics[nth], who.partition
        at_ms = begin_ms + (bits >> 24) % BUCKET_MS
        end_ms, number = begin_ms + BUCKET_MS, self._written
        for page in self._scripts[nth][(bits >> 50) % SCRIPTS_PER_SHELF][:most]:
            event = {
                **page,
                "event_id": f"b{number:08x}",
                "event_time": at_ms,
                "identities": forms[number % len(forms)],
            }
            received_ms = at_ms + self._lags[(bits + number * 7) % _RESIDUES]
            if not (number % _PLACEHOLDER_EVERY and number % _BAD_PHONE_EVERY and number % _NOBODY_EVERY):
                event["identities"] = _spoil(event["identities"], number)
            sent = Sent(received_ms, topic, partition, event)
            if received_ms < end_ms:
                here.append(sent)
            else:
                self._later[(received_ms - self._spec.start_ms) // BUCKET_MS].append(sent)
            if not number % REPEAT_EVERY:
                self._repeat(sent, number)
            number += 1
            at_ms += self._gaps[number % _RESIDUES]
        self._written = number

    def _repeat(self, sent: Sent, number: int) -> None:
        """The same event once more within hours, every second time on another partition."""
        received_ms = sent.received_ms + self._returns[number % _RESIDUES]
        partition = (sent.partition + number // REPEAT_EVERY % 2) % self._spec.partitions
        bucket = (received_ms - self._spec.start_ms) // BUCKET_MS
        self._later[bucket].append(Sent(received_ms, sent.topic, partition, sent.event))


def _spoil(identities: list[Wire], number: int) -> list[Wire]:
    """Adds a placeholder or an invalid phone of a kind that is not there yet, or leaves a placeholder alone."""
    placeholder = PLACEHOLDERS[number % len(PLACEHOLDERS)]
    if not number % _NOBODY_EVERY:
        return [placeholder]
    if not number % _BAD_PHONE_EVERY:
        return [*identities, BAD_PHONES[number % len(BAD_PHONES)]]
    kinds = {identity["kind"] for identity in identities}
    choices = islice(cycle(PLACEHOLDERS), number % len(PLACEHOLDERS), None)
    return [*identities, next(choice for choice in choices if choice["kind"] not in kinds)]


def _tables(seed: int) -> tuple[list[int], list[int], list[int]]:
    """Travel times (few of them hours), pauses between pages, and times until an event is sent again, in ms."""
    rng = random.Random(f"{seed}/tables")
    lags: list[int] = []
    for _ in range(_RESIDUES):
        late = rng.random() < _LATE_SHARE
        lags.append(rng.randrange(5 * MINUTE, 4 * HOUR) if late else rng.randrange(SHORTEST_LAG_MS, LONGEST_LAG_MS))
    gaps = [rng.randrange(2 * SECOND, 90 * SECOND) for _ in range(_RESIDUES)]
    returns = [rng.randrange(SECOND, 6 * HOUR) for _ in range(_RESIDUES)]
    return lags, gaps, returns
