"""Rules are given as files or as folders of them, to every command alike; what holds none is said, not passed over."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.cli.failure import Failure
from streams.cli.main import main
from streams.cli.rulefiles import good_rules, rule_files
from streams.settings import Settings

SHIPPED = Path(__file__).parents[3] / "deploy" / "rules"


def test_a_folder_stands_for_its_rules_and_a_file_for_itself(tmp_path: Path) -> None:
    for name in ("b.yaml", "a.yaml", "notes.md"):
        (tmp_path / name).write_text("")
    assert rule_files([tmp_path]) == [tmp_path / "a.yaml", tmp_path / "b.yaml"]
    assert rule_files([tmp_path / "b.yaml", tmp_path / "gone"]) == [tmp_path / "b.yaml", tmp_path / "gone"]


def test_the_rules_of_a_folder_are_run_as_those_of_files_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rules", "lint", str(SHIPPED)]) == 0
    folder = capsys.readouterr().out
    assert main(["rules", "lint", *map(str, sorted(SHIPPED.glob("*.yaml")))]) == 0
    assert capsys.readouterr().out == folder != ""


def test_a_good_file_is_read_alone_and_a_folder_whole() -> None:
    (one, *_) = files = sorted(SHIPPED.glob("*.yaml"))
    assert list(good_rules(SHIPPED, Settings())) == files
    assert good_rules(one, Settings()) == {one: one.read_text(encoding="utf-8")}


@pytest.mark.parametrize("command", [("up", "--tenant", "t", "--rules"), ("rules", "lint")], ids=" ".join)
def test_a_folder_without_rules_is_told(
    command: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command, str(tmp_path)]) == 1
    assert capsys.readouterr().err == f"siyu: {tmp_path} holds no rule files (*.yaml)\n"


@pytest.mark.parametrize("text", ["rule: x\nversion: 1\n", "not: [yaml", "\udcff"])
def test_rules_that_cant_be_put_in_force_start_nothing(text: str, tmp_path: Path) -> None:
    faulty = tmp_path / "faulty.yaml"
    faulty.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(Failure, match=r"faulty\.yaml"):
        good_rules(tmp_path, Settings())
    with pytest.raises(Failure, match=r"gone\.yaml can't be read"):
        good_rules(tmp_path / "gone.yaml", Settings())
