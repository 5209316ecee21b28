"""Waiting for something that another process does.

In: a condition, what it is called. Out: nothing, as soon as it holds. Never: a wait for ever.
"""

from __future__ import annotations

import time
from collections.abc import Callable

_POLL_S = 0.1


def until(holds: Callable[[], object], what: str, within_s: float = 90.0) -> None:
    """Returns when it holds; raises AssertionError, naming it, when it doesn't in time."""
    gives_up = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < gives_up, f"not within {within_s:.0f} s: {what}"
        time.sleep(_POLL_S)
