"""Would two persons hold too many values of a kind, if they were one?

In: the nodes of two persons, with when each was first seen; a policy. Out: the line that they would break.
Never: a change.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from streams.compact.rows import Node
from streams.identity.nodes import SEPARATOR, kind_of, prefix_of
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
    for prefix in sorted(set(map(prefix_of, few))):
        held = _seen(nodes, many, prefix, seen_ms)
        if held:
            limits = policy.kinds[kind_of(prefix)].limits
            line = _broken(limits, _seen(nodes, few, prefix, seen_ms), held)
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


def _broken(limits: Iterable[tuple[Limit, str]], few: Mapping[str, int], many: dict[str, int]) -> str:
    for value, at in few.items():
        many[value] = min(at, many.get(value, at))
    times = list(many.values())
    return next((line for limit, line in limits if limit.exceeded(times)), "")
