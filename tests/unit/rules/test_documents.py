"""Texts that come again are not read again, and nobody sees what another made of what was read."""

from __future__ import annotations

import pytest
import yaml

from streams.documents import loaded


def test_who_changes_what_was_read_changes_it_for_nobody_else() -> None:
    text = "sources: [{topic: events.raw.app, partition: 0}]"
    loaded(text)["sources"][0]["topic"] = "changed"
    assert loaded(text) == {"sources": [{"topic": "events.raw.app", "partition": 0}]}


def test_a_text_that_is_no_yaml_raises_each_time() -> None:
    for _ in range(2):
        with pytest.raises(yaml.YAMLError):
            loaded("sources: [")
