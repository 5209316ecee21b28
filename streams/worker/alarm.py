"""What an operator is told when the breaker has found a value out.

In: a `held` record of a value. Out: a sentence, and the lines of a policy that would block the value.
Never: a phone or an e-mail in full.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from schemas.masking import masked

_HIDDEN = "  # masked here: the record on identity.changes has it in full"


def alarm(record: Mapping[str, Any]) -> str:
    """Who is held and why, how to go on, and the block rule as YAML."""
    tenant, given = record["tenant"], record["a"]
    scope = f" of {given['scope']}" if given["scope"] else ""
    found = f"tenant {tenant}: a {given['kind']}{scope} is suspected ({record['reason']}), and its links are held"
    mend = "see `siyu identity held`, then release or reject it, or block it in the merge policy:"
    return f"{found}; {mend}\n{block_rule(given['kind'], given['value'])}"


def block_rule(kind: str, value: str) -> str:
    """The lines of a policy that block this value."""
    shown = masked(kind, value)
    quoted = json.dumps(shown, ensure_ascii=False)
    return f"blocked:\n  - {{kind: {kind}, values: [{quoted}]}}{'' if shown == value else _HIDDEN}"
