"""The delivery policies in force, by tenant.

In: policy texts from the journal (controls of kind `delivery`). Out: the policy of a tenant. Never: a file.
"""

from __future__ import annotations

from streams.delivery.policy import OPEN, DeliveryPolicy, InvalidPolicy, parse_policy
from streams.journal.tables import Tables

EVERY_TENANT = "*"


class Policies:
    """Table `delivery_policies`: tenant → text. That of "*" is in force for every tenant that has none."""

    def __init__(self, tables: Tables) -> None:
        self._rows = tables.table("delivery_policies")
        self._policies = {tenant: parse_policy(text) for tenant, text in self._rows.items()}

    def apply(self, tenant: str, text: str) -> DeliveryPolicy:
        """Puts a policy in force, in place of the one before, unless that one has a higher version.

        Raises InvalidPolicy and changes nothing.
        """
        policy = parse_policy(text)
        before = self._policies.get(tenant)
        if before is not None and before.version > policy.version:
            raise InvalidPolicy(f"version: {before.version} is in force, {policy.version} is older")
        self._policies[tenant] = policy
        self._rows.put(tenant, text)
        return policy

    def of(self, tenant: str) -> DeliveryPolicy:
        """The tenant's policy."""
        return self._policies.get(tenant) or self._policies.get(EVERY_TENANT) or OPEN
