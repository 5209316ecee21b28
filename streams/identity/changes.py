"""What can become known of who is who, as facts in the past tense.

In: nothing. Out: types; `seq` numbers them in the order in which they became true. Never: a decision.
"""

from __future__ import annotations

from typing import NamedTuple

from streams.identity.nodes import Evidence


class Linked(NamedTuple):
    """Two nodes were seen together for the first time, or an operator linked them."""

    a: str
    b: str
    a_id: str
    b_id: str
    one_id: str
    evidence: Evidence
    seq: int
    by_command: bool = False


class Merged(NamedTuple):
    """Person `gone` became part of person `into`, over the link a-b."""

    gone: str
    into: str
    a: str
    b: str
    evidence: Evidence
    seq: int
    by_command: bool = False


class Moved(NamedTuple):
    """A node belongs to this person now: it is new, came over in a merge, or left in a cut; "": to nobody.

    `was`: the person that had it before, "" where it is new.
    """

    node: str
    node_id: str
    one_id: str
    seq: int
    was: str = ""


class Refused(NamedTuple):
    """Two nodes were seen together, and are not linked: `reason` is the policy's line, `contested` or `unlinked`."""

    a: str
    b: str
    one_id: str
    reason: str
    evidence: Evidence
    seq: int


class Held(NamedTuple):
    """The pair a-b is held: it waits for an operator's word; or (b is None) the value `a` is suspected."""

    a: str
    b: str | None
    a_id: str
    b_id: str
    one_id: str
    reason: str
    evidence: Evidence
    seq: int


class Freed(NamedTuple):
    """The pair a-b, or (b is None) the value `a`, is held no more. `word`: released or rejected, "" by itself."""

    a: str
    b: str | None
    a_id: str
    b_id: str
    one_id: str
    word: str
    evidence: Evidence
    seq: int


class Unlinked(NamedTuple):
    """The pair a-b was cut, or (b is None) node `a` left its person `one_id` for `into` by what was cut."""

    a: str
    b: str | None
    one_id: str
    into: str
    evidence: Evidence
    seq: int


class Erased(NamedTuple):
    """A person is gone: these nodes with their hashes; `kind` is that of the id by which it was named."""

    tenant: str
    one_id: str
    kind: str
    nodes: tuple[tuple[str, str], ...]
    evidence: Evidence
    seq: int


IdentityFact = Linked | Merged | Moved | Refused | Held | Freed | Unlinked | Erased
