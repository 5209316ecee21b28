"""What a merge policy blocks in vain: entries that fit no id, since ids are compared as ingest writes them.

In: what stands in `blocked`. Out: the places that block nothing, each with its mend. Never: a refusal of the engine's,
which takes such a policy.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from streams.identity.spec import Blocked
from streams.ingest.identifiers import clean_one

_HASH = re.compile(r"[0-9A-Fa-f]{32}|[0-9A-Fa-f]{40}|[0-9A-Fa-f]{64}")
_QUOTES = "'\"“”"


def idle(blocked: Iterable[Blocked]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """The place in the policy of each entry or phone that blocks nothing, and a sentence without its subject."""
    for at, one in enumerate(blocked):
        if not one.values and one.pattern is None:
            yield ("blocked", at), "blocks nothing: give it values or a pattern"
        for nth, value in enumerate(one.values if one.kind == "phone" else ()):
            told = _of_phone(value.strip(_QUOTES))
            if told:
                yield ("blocked", at, "values", nth), told


def _of_phone(value: str) -> str:
    """Why no phone is written so; "" where one is: in E.164, or as the hash that a shop sends."""
    if _HASH.fullmatch(value):
        return ""
    cleaned = clean_one("phone", "", value)
    if isinstance(cleaned, str):
        return "blocks nothing: it is no phone number in full, nor the hash of one"
    return "" if cleaned[2] == value else f"blocks nothing: phones are compared as {cleaned[2]}, so write that"
