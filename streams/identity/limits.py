"""Would two persons hold too many values of a kind, if they were one?

In: the nodes of two persons, with when each was first seen; a policy. Out: the line that they would break.
Never: a change.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from streams.identity.nodes import SEPARATOR, Node, group_of, tenant_of
from streams.identity.policy import MergePolicy
from streams.identity.spec import Limit


def over_limit(
    nodes: Mapping[str, Node], policy: MergePolicy, seen_ms: int, ours: Sequence[str], theirs: Sequence[str]
) -> str:
    """The line of the limit that these two persons would break as one; "" where none.

    Only kinds (within a scope) to which both bring values count: a person that an operator made too large may still
    get ids of other kinds. A node that is new was first seen at `seen_ms`.
    """
    few, many = sorted((ours, theirs), key=len)
    for kind, scope in sorted(set(map(group_of, few))):
        limits = policy.kinds[kind].limits
        if limits:
            prefix = SEPARATOR.join((tenant_of(few[0]), kind, scope, ""))
            held = [_seen(nodes, side, prefix, seen_ms) for side in (few, many)]
            line = _broken(limits, held) if all(held) else ""
            if line:
                return line
    return ""


def _seen(nodes: Mapping[str, Node], side: Iterable[str], prefix: str, seen_ms: int) -> dict[str, int]:
    """Each value of this kind and scope, and when it was first seen; several nodes of one value count once."""
    values: dict[str, int] = {}
    for node in side:
        if node.startswith(prefix):
            value = node[len(prefix) :].partition(SEPARATOR)[0]
            known = nodes.get(node)
            at = seen_ms if known is None else known[3]
            values[value] = min(at, values.get(value, at))
    return values


def _broken(limits: Iterable[tuple[Limit, str]], held: Sequence[dict[str, int]]) -> str:
    both = dict(held[0])
    for value, at in held[1].items():
        both[value] = min(at, both.get(value, at))
    times = list(both.values())
    return next((line for limit, line in limits if limit.exceeded(times)), "")
