"""Rule files as commands are given them: files, or folders of them.

In: paths. Out: the files; their texts, each of which can be put in force. Never: a folder without a rule passed over.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from streams.cli.failure import Failure

if TYPE_CHECKING:
    from streams.settings import Settings  # slow to load, and help needs none of it


def rule_files(given: Iterable[Path]) -> list[Path]:
    """These files, and for a folder all `*.yaml` in it. Raises Failure for a folder that has none."""
    files: list[Path] = []
    for path in given:
        found = sorted(path.glob("*.yaml")) if path.is_dir() else [path]
        if not found:
            raise Failure(f"{path} holds no rule files (*.yaml)")
        files += found
    return files


def good_rules(path: Path, settings: Settings) -> dict[Path, str]:
    """The text of each rule file. Raises Failure for the first that can't be read or put in force."""
    from streams.rules.book import Known, compile_rule  # noqa: PLC0415 `siyu --help` must stay fast
    from streams.rules.spec import InvalidRule  # noqa: PLC0415

    texts = {}
    for file in rule_files([path]):
        try:
            texts[file] = file.read_text(encoding="utf-8")
            compile_rule(texts[file], Known(settings.sources, settings.triggers))
        except OSError as error:
            raise Failure(f"{file} can't be read: {error.strerror}") from error
        except (InvalidRule, UnicodeDecodeError) as error:
            raise Failure(f"{file}: {error}") from error
    return texts
