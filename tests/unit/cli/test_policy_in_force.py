"""What `siyu policy apply --wait` says where another version stays in force."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from streams.cli import policy as command
from streams.cli.main import main
from streams.identity.policy import DEFAULT, compile_policy


def _text(name: str, version: int) -> str:
    return f"policy: {name}\nversion: {version}\n"


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What would have gone to `control`, where `acme` version 3 is in force."""
    said: list[dict[str, Any]] = []

    def publish(*_: object, **one: Any) -> str:
        said.append(one)
        return "c1"

    monkeypatch.setenv("SIYU_TENANTS", "acme")
    monkeypatch.setattr(command, "Producer", lambda _: SimpleNamespace())
    monkeypatch.setattr(command, "publish_control", publish)
    monkeypatch.setattr(command, "journal_ends", lambda _: {})
    monkeypatch.setattr(command, "await_control", lambda *_: None)
    monkeypatch.setattr(command, "merge_policy", lambda *_: compile_policy(_text("acme", 3), DEFAULT))
    return said


def _apply(folder: Path, text: str) -> int:
    (folder / "p.yaml").write_text(text)
    return main(["policy", "apply", str(folder / "p.yaml"), "--tenant", "acme", "--wait"])


def test_an_older_version_is_told_to_have_been_refused(
    published: list[dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _apply(tmp_path, _text("acme", 1)) == 1
    assert "policy acme version 3 stays in force for acme: 1 is older" in capsys.readouterr().err
    assert len(published) == 1


def test_the_version_that_came_into_force_is_told_so(published: list[dict[str, Any]], tmp_path: Path) -> None:
    assert _apply(tmp_path, _text("acme", 3)) == 0
    assert [one["version"] for one in published] == [3]
