"""Which values name nobody, and which kinds of id are stronger.

In: one normalised id. Out: whether it may name a person; its rank. Never: state.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from schemas.records import ID_KINDS

_PLACEHOLDER = re.compile(
    r"""^['"“”]*(?:[0\-]*|-?1|null|none|nil|nan|undefined|unknown|anonymous|guest|invalid|test|true|false)['"“”]*$""",
    re.IGNORECASE,
)
_TEST_PHONE = re.compile(r"^\+86(?:1[3-9]0{9}|13800138000|13800000000|13912345678|12345678901)$")


@dataclass(frozen=True, slots=True)
class MergePolicy:
    """The rules by which ids join. `ranks`: 0 is the strongest kind."""

    ranks: dict[str, int]

    def blocked(self, kind: str, value: str) -> bool:
        """Whether this value is a placeholder or a test value, also in quotes: it joins nobody."""
        return bool(_PLACEHOLDER.match(value)) or (kind == "phone" and bool(_TEST_PHONE.match(value)))


DEFAULT = MergePolicy(ranks={kind: rank for rank, kind in enumerate(ID_KINDS)})
