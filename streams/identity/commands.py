"""What an operator's word does to who is who.

In: commands by their ids. Out: rows and facts, or why a command can't be done. Never: a decision of its own about a
pair.
"""

from __future__ import annotations

from schemas.records import BY_HASH
from streams.identity.cutting import Cutting
from streams.identity.erasing import Erasing
from streams.identity.nodes import Evidence, kind_of
from streams.identity.phones import Phones
from streams.identity.policy import MergePolicy, Policies
from streams.identity.quarantine import Quarantine

_NOT_HELD = "nothing that is held has this hash"
_NO_VALUE = "the id stands for nobody"
_NO_PAIR = "it names one id twice, or one that stands for nobody"


class Commands:
    """Each answers "" when it is done, else why it can't be. An id that is a phone is so by each of its names."""

    def __init__(
        self, policies: Policies, phones: Phones, cutting: Cutting, erasing: Erasing, quarantine: Quarantine
    ) -> None:
        self._policies = policies
        self._phones = phones
        self._cutting = cutting
        self._erasing = erasing
        self._quarantine = quarantine

    def link(self, tenant: str, a: str, b: str, evidence: Evidence) -> str:
        """Links two ids by an operator's word, whatever limits say; why not, where it can't."""
        policy = self._policies.of(tenant)
        pair = self._pair(a, b, policy)
        if pair is None:
            return _NO_PAIR
        self._cutting.name(pair, policy, evidence)
        self._cutting.link(*pair, policy, evidence)
        self._quarantine.look(policy, evidence)
        return ""

    def unlink(self, tenant: str, a: str, b: str, evidence: Evidence) -> str:
        """Cuts the link of two ids, and keeps them from being linked again; why not, where it can't."""
        policy = self._policies.of(tenant)
        pair = self._pair(a, b, policy)
        if pair is None:
            return _NO_PAIR
        self._cutting.cut(*pair, policy, evidence)
        return ""

    def _pair(self, a: str, b: str, policy: MergePolicy) -> tuple[str, str] | None:
        """The two ids, the stronger first; None where they are one, or one of them stands for nobody."""
        usable = self._phones.usable((a, b), policy)
        if len(usable) < 2 or usable[1] in self._phones.hashes(usable[0], policy):
            return None
        return usable[0], usable[1]

    def erase(self, tenant: str, a: str, evidence: Evidence) -> str:
        """Takes the person that has this id out, if there is one, as if what was seen of it had never been."""
        self._erasing.erase(a, self._policies.of(tenant), evidence)
        return ""

    def release(self, tenant: str, a: str, b: str | None, evidence: Evidence) -> str:
        """Decides a held pair, or all pairs of a suspected value, as if nothing had been held; why not, if it can't."""
        named, policy = self._named(tenant, a, b), self._policies.of(tenant)
        return named if isinstance(named, str) else self._quarantine.release(*named, policy, evidence)

    def reject(self, tenant: str, a: str, b: str | None, evidence: Evidence) -> str:
        """Cuts a held pair for good, or holds a value apart from everybody for good; why not, where it can't."""
        named, policy = self._named(tenant, a, b), self._policies.of(tenant)
        if isinstance(named, str):
            return named
        if named[1] is None:
            self._cutting.name(named[:1], policy, evidence)
        return self._quarantine.reject(*named, policy, evidence)

    def _named(self, tenant: str, a: str, b: str | None) -> tuple[str, str | None] | str:
        """The ids of a command, the stronger first; each may be given by its hash where it is held."""
        given = [self._quarantine.node_of(node) for node in (a, b) if node is not None]
        if any(kind_of(node) == BY_HASH for node in given):
            return _NOT_HELD
        policy = self._policies.of(tenant)
        usable = self._phones.usable(given, policy)
        as_given = sorted(given, key=lambda node: (policy.ranks[kind_of(node)], node))
        if self._quarantine.is_held(as_given[0], as_given[1] if b is not None else None):
            usable = as_given  # it is held by the hash of a phone, which may be known by now
        if len(usable) < len(given):
            return _NO_PAIR if b is not None else _NO_VALUE
        return usable[0], usable[1] if b is not None else None
