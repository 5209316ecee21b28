"""What is known of persons, as delivery and rules ask for it: folded over the nodes of today's person.

In: interactions, sends, words of consent, traits, each of a node. Out: one person. Never: a verdict.

Everything is kept by node. A person is folded when somebody asks: so merging adds up and unlinking divides, and neither
moves a row.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from zoneinfo import ZoneInfo

from streams.delivery.best import Tally
from streams.delivery.channels import Address
from streams.delivery.decide import Got, Recipient
from streams.delivery.policy import ZONE_TRAIT, DeliveryPolicy
from streams.delivery.zones import zone
from streams.identity.nodes import NOBODY, parts_of
from streams.identity.persons import Persons
from streams.journal.tables import Tables
from streams.profile.answers import Answers
from streams.profile.consents import Consents
from streams.profile.doings import Doings
from streams.profile.entries import Entries
from streams.profile.sends import Sends
from streams.profile.tags import Tags
from streams.profile.traits import Traits


class Profiles:
    """What persons have done, were sent, said and are."""

    def __init__(self, tables: Tables, persons: Persons) -> None:
        self._persons = persons
        self.doings = Doings(tables)
        self.sends = Sends(tables)
        self.entries = Entries(tables)
        self.consents = Consents(tables)
        self.traits = Traits(tables)
        self.tags = Tags(tables)
        self.answers = Answers(tables)

    def person(self, nodes: tuple[str, ...]) -> tuple[str, str]:
        """The one_id of the strongest of these nodes, and its node_id; "" for nobody."""
        one_id, node_id, *_ = self._persons.node(nodes[0]) if nodes else NOBODY
        return one_id, node_id

    def members(self, one_id: str) -> list[str]:
        """All nodes of this person."""
        return self._persons.members(one_id)

    def around(self, nodes: tuple[str, ...]) -> list[str]:
        """All nodes of the person of the strongest of these; it alone where it is nobody's."""
        one_id, _ = self.person(nodes)
        return self.members(one_id) if one_id else list(nodes[:1])

    def recipient(
        self, one_id: str, policy: DeliveryPolicy, channels: Iterable[str], at_hand: Collection[str], now_ms: int
    ) -> Recipient:
        """The person as delivery knows them. A value that is contested is no address, unless it is `at_hand`."""
        nodes = self.members(one_id)
        words = {channel: self.consents.of(nodes, channel) for channel in channels}
        return Recipient(
            one_id=one_id,
            zone=self.zone(nodes, policy),
            addresses=[self._address(node) for node in self._persons.addresses(one_id, at_hand)],
            got=[Got(sent.time_ms, sent.rule, sent.channel) for sent in self.sends.of(nodes)],
            consents={channel: word for channel, word in words.items() if word is not None},
            opened=lambda doing: self.doings.last(nodes, doing),
            answers=lambda channel: Tally(*self.answers.over(nodes, channel, now_ms)),
            hours=lambda: self.answers.by_hour(nodes, now_ms),
        )

    def zone(self, nodes: Iterable[str], policy: DeliveryPolicy) -> ZoneInfo:
        """The zone in which the person of these nodes lives, the tenant's where none is known."""
        lives = self.traits.of(nodes, ZONE_TRAIT)
        return (lives and zone(lives.value)) or policy.at_home

    def _address(self, node: str) -> Address:
        return Address(node, *parts_of(node)[1:], self._persons.node(node).seq)
