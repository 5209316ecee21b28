"""A database for the contracts of rebuilt tables: the embedded one, and a server's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sinks import swap
from sinks.migrations import runner
from sinks.sink import Database
from tests.unit.sinks.opened import DATABASES, opened_database


@pytest.fixture(params=DATABASES)
def live(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    with opened_database(request, tmp_path) as database:
        runner.apply(database)
        yield database
        swap.clear(database)
