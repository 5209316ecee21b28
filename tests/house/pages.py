"""Markdown pages as data: fenced examples, rows of tables, inline code, links.

In: the files of this repository. Out: text with its place. Never: a rendering; a file that git ignores.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
DOCS = ROOT / "docs"

_UNTRACKED = re.compile(r"\.git|\.venv|build|node_modules|__pycache__|\.\w+_cache|\.hypothesis|.*\.egg-info")
_CODE = re.compile(r"`([^`]+)`")
_LINK = re.compile(r"\]\(([^)\s]+)\)")


class Fence(NamedTuple):
    """A fenced example: its page, the line that it begins at, its language, its text."""

    page: Path
    line: int
    language: str
    text: str

    @property
    def place(self) -> str:
        """For the name of a test."""
        return f"{self.page.name}:{self.line}"


def pages() -> list[Path]:
    """All Markdown pages."""
    return sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])


def files(suffix: str = "") -> Iterator[Path]:
    """All files that are ours and end so."""
    folders = [ROOT]
    while folders:
        for path in sorted(folders.pop().iterdir()):
            if _UNTRACKED.fullmatch(path.name):
                continue
            if path.is_dir():
                folders.append(path)
            elif path.name.endswith(suffix):
                yield path


def name_of(path: Path) -> str:
    """The path within the repository."""
    return str(path.relative_to(ROOT))


@cache
def lines(page: Path) -> tuple[str, ...]:
    """The page's lines."""
    return tuple(page.read_text(encoding="utf-8").splitlines())


def fences(*languages: str) -> list[Fence]:
    """Examples in these languages (all, where none is named) on all pages."""
    return [fence for page in pages() for fence in _fences(page) if not languages or fence.language in languages]


def _fences(page: Path) -> Iterator[Fence]:
    begun: Fence | None = None
    inside: list[str] = []
    for number, line in enumerate(lines(page), 1):
        if begun is None and line.startswith("```"):
            begun, inside = Fence(page, number, line.removeprefix("```").strip(), ""), []
        elif begun is not None and line.startswith("```"):
            yield begun._replace(text="\n".join(inside) + "\n")
            begun = None
        elif begun is not None:
            inside.append(line)


def prose(page: Path) -> Iterator[tuple[int, str, str]]:
    """Lines outside of fences: number, the heading that they stand under, text."""
    fenced, heading = False, ""
    for number, line in enumerate(lines(page), 1):
        if line.startswith("```"):
            fenced = not fenced
        elif not fenced:
            heading = line.lstrip("# ") if line.startswith("#") else heading
            yield number, heading, line


def rows(page: Path, heading: str = "") -> list[list[str]]:
    """Cells of the rows of all tables (under this heading, if one is named), heads and rules left out."""
    found = [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        for _, under, line in prose(page)
        if line.startswith("|") and heading in ("", under)
    ]
    return [row for at, row in enumerate(found) if not _is_head(found, at)]


def _is_head(table: list[list[str]], at: int) -> bool:
    return _is_rule(table[at]) or (at + 1 < len(table) and _is_rule(table[at + 1]))


def _is_rule(row: list[str]) -> bool:
    return all(set(cell) <= set("-: ") and "-" in cell for cell in row)


def code(text: str) -> list[str]:
    """What stands in backticks."""
    return _CODE.findall(text)


def links(page: Path) -> Iterator[tuple[int, str]]:
    """Line and target of each link, pictures included, also where it is broken over lines."""
    for number, _, line in prose(page):
        for target in _LINK.findall(line):
            yield number, target


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = (line.lstrip("#").strip() for _, _, line in prose(page) if line.startswith("#"))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
