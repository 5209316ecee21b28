"""What an id is to the engine: a node, and the names of those that stand for a part of a value's events.

In: tenant, kind, scope, value. Out: one text, and its parts. Never: state.

A node is `tenant, kind, scope, value` joined by U+001F, which no accepted value can hold. A value that several people
used has more nodes: each ends in one more U+001F and what tells it apart. Facts keep the hash of their node, so these
names depend on nothing that a later decision can change.
"""

from __future__ import annotations

from typing import NamedTuple

from schemas.masking import keyed_hash
from streams.compact.rows import Node

SEPARATOR = "\x1f"
BETWEEN = "\x1e"
"""Stands between several nodes in one name."""
_PARTS = 4
_CONTESTED = SEPARATOR + "contested"


class Evidence(NamedTuple):
    """The event, or the command, that made a change true."""

    event_id: str
    event_time_ms: int


NOBODY = Node("", "", 0, 0)


def tenant_of(node: str) -> str:
    """The node's tenant."""
    return node.partition(SEPARATOR)[0]


def kind_of(node: str) -> str:
    """The node's kind."""
    return node.split(SEPARATOR, 2)[1]


def parts_of(node: str) -> tuple[str, str, str, str]:
    """The node's tenant, kind, scope and value, whatever part of the value's events it stands for."""
    tenant, kind, scope, value = node.split(SEPARATOR)[:_PARTS]
    return tenant, kind, scope, value


def prefix_of(node: str) -> str:
    """What all nodes of one tenant, kind and scope begin with: limits count within it."""
    tenant, kind, scope, _ = node.split(SEPARATOR, 3)
    return f"{tenant}{SEPARATOR}{kind}{SEPARATOR}{scope}{SEPARATOR}"


def base_of(node: str) -> str:
    """The node of the value itself."""
    return node if node.count(SEPARATOR) < _PARTS else SEPARATOR.join(node.split(SEPARATOR)[:_PARTS])


def visit_of(node: str, login_id: str) -> str:
    """The node of a weak value's events after this login; `login_id` is the hash of the id that logged in."""
    return f"{node}{SEPARATOR}{login_id}"


def contested_of(node: str) -> str:
    """The node of a contested value's events."""
    return node + _CONTESTED


def is_contested(node: str) -> bool:
    """Whether it is the node of a contested value's events."""
    return node.endswith(_CONTESTED)


def hash_of(node: str, salt: bytes, erased: int = 0) -> str:
    """The hash under which facts have the node, after it was erased so many times."""
    return keyed_hash(f"{node}{BETWEEN}{erased}" if erased else node, salt)


def pair_of(a: str, b: str) -> str:
    """One name for the pair, whichever comes first."""
    return f"{a}{BETWEEN}{b}" if a < b else f"{b}{BETWEEN}{a}"
