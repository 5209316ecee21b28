"""The migration files, without a database: each can be applied twice, and says what it needs."""

from __future__ import annotations

import pytest

from sinks.migrations.runner import Migration, discover

MIGRATIONS = discover()
NEWER = ("CODEC", "TTL ", "LowCardinality", "DateTime64", " INDEX ", "SimpleAggregateFunction", "Map(")


def test_versions_count_up_from_one() -> None:
    assert [migration.version for migration in MIGRATIONS] == list(range(1, len(MIGRATIONS) + 1))


@pytest.mark.parametrize("migration", MIGRATIONS, ids=lambda migration: str(migration.name))
def test_every_statement_is_harmless_when_done_twice(migration: Migration) -> None:
    for statement in migration.statements:
        once = statement.startswith("CREATE") and "IF NOT EXISTS" not in statement
        again = "ADD INDEX" in statement and "IF NOT EXISTS" not in statement
        assert not once, statement
        assert not again, statement


@pytest.mark.parametrize("migration", MIGRATIONS, ids=lambda migration: str(migration.name))
def test_what_18_16_lacks_stands_in_files_that_need_more(migration: Migration) -> None:
    if not migration.needs:
        assert not [word for word in NEWER for statement in migration.statements if word in statement]


def test_statements_are_split_and_comments_left_out() -> None:
    migration = Migration(1, "0001_x", "-- needs: 20.1\nCREATE a;\n-- why;\nCREATE b\n(\n  c\n);\n")
    assert migration.statements == ("CREATE a", "CREATE b\n(\n  c\n)")
    assert migration.needs == (20, 1)
    assert Migration(1, "0001_x", "SELECT 1;").needs == ()
