"""A database for the contracts of rebuilt tables: the embedded one, and a server's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sinks import swap
from sinks.sink import Database
from tests.unit.sinks.opened import DATABASES, migrated_database


@pytest.fixture(params=DATABASES)
def live(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    with migrated_database(request, tmp_path) as database:
        yield database
        swap.clear(database)
