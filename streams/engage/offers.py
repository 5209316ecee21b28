"""What a match asks of delivery, and of whom: the rule's words over the person of today.

In: matches and their rules. Out: offers, recipients. Never: a verdict; a change.
"""

from __future__ import annotations

from collections.abc import Sequence

from streams.delivery.channels import Route
from streams.delivery.decide import Offer, Recipient
from streams.delivery.policies import Policies
from streams.engage.match import Match
from streams.engage.profile import Profiles
from streams.rules.book import Compiled
from streams.rules.spec import ALWAYS, ONCE


class Offers:
    """Makes offers from matches."""

    def __init__(self, profiles: Profiles, policies: Policies) -> None:
        self._profiles = profiles
        self._policies = policies

    def of(self, match: Match, compiled: Compiled) -> Offer:
        """What the match asks of delivery now."""
        send = compiled.rule.send
        nodes = self._profiles.members(self._profiles.person(match.nodes)[0])
        ends = (self._profiles.doings.last(nodes, doing) for doing in send.exit_on)
        routes = [Route(channel.channel, channel.to, channel.scope) for channel in send.channels]
        return Offer(
            rule=match.name,
            expires_ms=match.due_ms + send.expires_after,
            routes=[route for route in routes if route.channel not in match.tried],
            at_hand=match.nodes,
            exited=match.left or any(last is not None and last >= match.anchor_ms for last in ends),
            matched_before=match.name == match.rule
            and send.re_entry != ALWAYS
            and self._matched_before(match, nodes, send.re_entry),
            cool_down_ms=send.cool_down or 0,
            cheapest=send.choose == "cheapest",
            best=send.choose == "best",
            best_until_ms=match.due_ms + send.best_hour_within if send.best_hour_within else 0,
            disturbs=send.quiet_hours == "policy",
            control_percent=send.control_percent,
        )

    def _matched_before(self, match: Match, nodes: Sequence[str], within_ms: int) -> bool:
        earlier = self._profiles.entries.before(nodes, match.rule, match.number)
        return any(within_ms == ONCE or match.due_ms < entry.due_ms + within_ms for entry in earlier)

    def recipient(self, match: Match, offer: Offer, now_ms: int) -> Recipient:
        """The person that it is for."""
        one_id, _ = self._profiles.person(match.nodes)
        channels = [route.channel for route in offer.routes]
        return self._profiles.recipient(one_id, self._policies.of(match.tenant), channels, match.nodes, now_ms)
