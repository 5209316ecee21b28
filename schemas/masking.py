"""Personal ids as people may read them, and as keys that tell nothing.

In: an id. Out: a masked text, or a keyed hash. Never: the way back.
"""

from __future__ import annotations

import re
from hashlib import blake2b

_SHOWN = {"phone": (3, 4), "email": (1, 8)}
# A mobile of the mainland, or any number in international form; a time in milliseconds has 13 digits and is neither.
_PHONE = re.compile(r"(?<!\d)(?:\+\d{8,15}|(?:86)?1[3-9]\d{9})(?!\d)")
_EMAIL = re.compile(r"[^\s'\"<>]+@[^\s'\"<>]+")


def masked(kind: str, value: str) -> str:
    """The value with its middle hidden if it is a phone or an e-mail; other kinds as they are."""
    if kind not in _SHOWN:
        return value
    head, tail = _SHOWN[kind]
    head += value.startswith("+") and 3
    if len(value) <= head + tail:
        return "*" * len(value)
    return f"{value[:head]}{'*' * (len(value) - head - tail)}{value[-tail:]}"


def hidden(text: str) -> str:
    """The text with phones and e-mails masked."""
    text = _EMAIL.sub(lambda found: masked("email", found[0]), text)
    return _PHONE.sub(lambda found: masked("phone", found[0]), text)


def keyed_hash(text: str, salt: bytes) -> str:
    """32 hex digits that only who knows the salt (at most 64 bytes) can compute."""
    return blake2b(text.encode(), digest_size=16, key=salt).hexdigest()
