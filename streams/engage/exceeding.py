"""Where what two persons had got adds up to more than a cap allows, since they turned out to be one.

In: who became one. Out: a decision `noted` about the newest send. Never: a send that is undone: what was sent was sent.
"""

from __future__ import annotations

from collections.abc import Sequence

from streams.delivery.caps import exceeded
from streams.delivery.reasons import Why
from streams.engage.profile import Profiles
from streams.engage.records import Records
from streams.engage.sending import Sending
from streams.identity.nodes import tenant_of
from streams.journal.clock import Clock
from streams.profile.sends import Sent
from streams.rules.book import Book


class Exceeding:
    """Looks at the sends of those who became one."""

    def __init__(self, book: Book, clock: Clock, *, profiles: Profiles, sending: Sending, records: Records) -> None:
        self._book = book
        self._clock = clock
        self._profiles = profiles
        self._sending = sending
        self._records = records

    def merged(self, one_id: str, groups: Sequence[Sequence[str]], event_id: str) -> None:
        """Persons with these nodes became one: says where what they had got adds up to more than is allowed."""
        got = [self._profiles.sends.of(nodes) for nodes in groups]
        if sum(map(bool, got)) < 2:
            return
        policy = self._sending.policies.of(tenant_of(groups[0][0]))
        zone = self._profiles.zone(self._profiles.members(one_id), policy)
        limits = [(None, policy.counted), *((name, spec.counted) for name, spec in sorted(policy.channels.items()))]
        told: set[str] = set()
        for channel, caps in limits:
            counted = [[sent for sent in sends if channel in (None, sent.channel)] for sends in got]
            times = [[sent.time_ms for sent in sends] for sends in counted]
            if exceeded(caps, times, self._clock.now, zone):
                newest = max(sent for sends in counted for sent in sends)
                if newest.trigger_id not in told:
                    told.add(newest.trigger_id)
                    self._note(newest, one_id, event_id)

    def _note(self, newest: Sent, one_id: str, event_id: str) -> None:
        match = self._sending.get(newest.match)
        compiled = None if match is None else self._book.rule(match.tenant, match.rule)
        if match is not None and compiled is not None:
            about = self._sending.about_sent(match, compiled, event_id)._replace(one_id=one_id)
            self._records.decision(about, "noted", Why.CAP_EXCEEDED_BY_MERGE)
