"""Whom an id that an operator names stands for, as ClickHouse knows it.

In: settings; an id in plain, or a one_id; the merge policy in force. Out: a node, the one_id of today. Never: a
guess; a change.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from itertools import count

from schemas.masking import masked
from schemas.records import Identity
from sinks.sink import Answer
from sinks.statements import literal
from streams.cli.failure import Failure
from streams.cli.query import answer_of
from streams.identity.nodes import SEPARATOR, contested_of, hash_of, visit_of
from streams.identity.policy import DEFAULT, MergePolicy
from streams.settings import Settings
from streams.worker.clients import BrokerUnavailable

Ask = Callable[[str], Answer]


def asking(settings: Settings) -> Ask:
    """A way to ask the database of these settings."""

    def ask(sql: str) -> Answer:
        return answer_of(sql, settings)

    return ask


def naming_of(settings: Settings, tenant: str, policy: Callable[[], MergePolicy]) -> Naming:
    """A way to look ids of this tenant up in the database of these settings."""
    return Naming(asking(settings), tenant, settings.salt.get_secret_value().encode(), policy)


class Naming:
    """Looks ids of one tenant up. `policy` is asked for only where nobody is known by a plain phone."""

    def __init__(self, ask: Ask, tenant: str, salt: bytes, policy: Callable[[], MergePolicy]) -> None:
        self._ask = ask
        self._tenant = tenant
        self._salt = salt
        self._policy = policy

    def found(self, identity: Identity) -> tuple[str, str]:
        """The node of this id, and the one_id of who has it today; Failure where nobody has, or several.

        A phone that nobody has shown in plain is that of whom a shop's hash of it names: then the hash's node.
        """
        node = self._node_of(identity)
        one_id = self._bearer(node)
        if one_id:
            return node, one_id
        if identity["kind"] != "phone" or identity["scope"]:
            raise Failure(self._unknown(identity, DEFAULT))
        return self._by_hash(identity)

    def _by_hash(self, identity: Identity) -> tuple[str, str]:
        try:
            policy = self._policy()
        except BrokerUnavailable as error:
            told = f"{self._unknown(identity, DEFAULT)}; what the policy says of it only the broker tells"
            raise Failure(f"{told}: {error}") from error
        hashes = self._hashes(identity, policy)
        bearers = {bearer: hashed for hashed in hashes if (bearer := self._bearer(hashed[0]))}
        if not bearers:
            raise Failure(self._unknown(identity, policy))
        if len(bearers) > 1:
            names = " or ".join(f"phone@{one['scope']}:{one['value']}" for _, one in bearers.values())
            raise Failure(f"nobody showed that phone in plain, and its hashes name several persons: name {names}")
        ((one_id, (node, _)),) = bearers.items()
        return node, one_id

    def _node_of(self, identity: Identity) -> str:
        """The hash under which facts have this id now: another one after each time that it was erased."""
        node = SEPARATOR.join((self._tenant, identity["kind"], identity["scope"] or "", identity["value"]))
        tenant = literal(self._tenant)
        for times in count():
            hashed = hash_of(node, self._salt, times)
            asked = f"SELECT count() FROM siyu.identity_erased WHERE tenant = {tenant} AND node = {literal(hashed)}"
            if not self._ask(asked).rows[0][0]:
                return hashed
        raise AssertionError

    def part_of(self, identity: Identity, ids: Collection[str]) -> str:
        """Which of these nodes stands for a part of the value's events, of a login or since it is contested; ""."""
        node = SEPARATOR.join((self._tenant, identity["kind"], identity["scope"] or "", identity["value"]))
        parts = (contested_of(node), *(visit_of(node, one) for one in ids))
        return next((hashed for part in parts if (hashed := hash_of(part, self._salt)) in ids), "")

    def _bearer(self, node: str) -> str:
        """The one_id of who has this node today; "" for nobody."""
        chosen = f"tenant = {literal(self._tenant)} AND node = {literal(node)}"
        rows = self._ask(f"SELECT argMax(one_id, seq) FROM siyu.identity_map WHERE {chosen} GROUP BY node").rows
        return str(rows[0][0]) if rows else ""

    def _hashes(self, identity: Identity, policy: MergePolicy) -> Iterator[tuple[str, Identity]]:
        """The nodes of a plain phone's hashes, as the policy's shops send them."""
        for scope, value in policy.hashes(identity["value"]):
            hashed = Identity(kind="phone", scope=scope, value=value)
            yield self._node_of(hashed), hashed

    def _unknown(self, identity: Identity, policy: MergePolicy) -> str:
        shown = f"{identity['kind']} {masked(identity['kind'], identity['value'])}"
        if DEFAULT.blocked(identity["kind"], identity["value"]):
            return f"{shown} is a value that names nobody, as zeros and test phones do"
        if policy.blocked(identity["kind"], identity["value"]):
            return f"{shown} is a value that names nobody: policy {policy.label} of {self._tenant} blocks it"
        return f"nobody of {self._tenant} is known by {shown} (looked up with the salt of these settings)"

    def today(self, one_id: str) -> str:
        """Who this person is today: another one_id where it was merged. Raises Failure where there is not one such."""
        tenant = literal(self._tenant)
        ever = f"SELECT node FROM siyu.identity_map WHERE tenant = {tenant} AND one_id = {literal(one_id)}"
        newest = "SELECT node, argMax(one_id, seq) AS now FROM siyu.identity_map"
        rows = self._ask(f"{newest} WHERE tenant = {tenant} AND node IN ({ever}) GROUP BY node").rows
        persons = sorted({str(now) for _, now in rows} - {""})
        if one_id in persons:
            return one_id
        if len(persons) == 1:
            return persons[0]
        if not persons:
            raise Failure(f"nobody is known as {one_id}")
        raise Failure(f"the ids of {one_id} belong to {', '.join(persons)} today: name one of them")
