"""The YAML texts that controls carry, as far as ingest must trust them.

In: YAML text. Out: what is wrong with it, as a sentence, or None. Never: what a rule or a policy means.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import yaml

_LONGEST_FAULT = 200
# What PyYAML lets through from the texts that it is given, beside its own YAMLError.
_ODDITIES = (ValueError, TypeError, AttributeError, LookupError, ArithmeticError, RecursionError)
_SOURCE_FIELDS = {"topic", "partition", "start"}


def mapping_fault(text: str) -> str | None:
    """Why this text is no YAML mapping."""
    parsed = _parsed(text)
    return parsed if isinstance(parsed, str) else None


def sources_fault(text: str) -> str | None:
    """Why this text is not `sources: [{topic, partition, start}]`, each raw partition at most once."""
    parsed = _parsed(text)
    if isinstance(parsed, str):
        return parsed
    sources = parsed.get("sources")
    if not isinstance(sources, list):
        return "text has no list under sources"
    fault = next((f"sources[{at}] {why}" for at, one in enumerate(sources) if (why := _source_fault(one))), None)
    return fault or _repeated(sources)


def _parsed(text: str) -> dict[Any, Any] | str:
    try:
        parsed = yaml.safe_load(text)
    except (yaml.YAMLError, *_ODDITIES) as error:
        return f"text is not YAML: {' '.join(str(error).split())[:_LONGEST_FAULT]}"
    return parsed if isinstance(parsed, dict) else "text is not a YAML mapping"


def _source_fault(source: object) -> str | None:
    if not isinstance(source, dict) or set(source) != _SOURCE_FIELDS:
        return "has not exactly topic, partition and start"
    if not isinstance(source["topic"], str) or not source["topic"]:
        return "has a topic that is no text"
    odd = [name for name in ("partition", "start") if not _is_index(source[name])]
    return f"has a {odd[0]} that is not a whole number from 0" if odd else None


def _is_index(number: object) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and number >= 0


def _repeated(sources: list[dict[str, Any]]) -> str | None:
    counts = Counter((source["topic"], source["partition"]) for source in sources)
    twice = [f"{topic}/{partition}" for (topic, partition), count in counts.items() if count > 1]
    return f"text names {twice[0]} more than once" if twice else None
