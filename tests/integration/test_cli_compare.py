"""A backtest of another merge policy says who would merge, split or change."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

RULES = Path(__file__).parents[2] / "deploy" / "rules"
START_MS = 1_718_000_000_000
STRICT = "policy: strict\nversion: 1\nkinds:\n  phone: {hold: 1 ever}\n  member_card: {values: shareable}\n"
LOOSE = "policy: loose\nversion: 1\nkinds:\n  uid: {hold: 2 ever}\n"


def lines(*seen: tuple[str, ...]) -> str:
    """Events with these ids, each written kind:value."""
    events = [
        {
            "event_id": f"e{at}",
            "tenant": "siyu",
            "event_type": "login",
            "event_time": START_MS + at,
            "touchpoint": "app",
            "identities": [{"kind": one.split(":")[0], "scope": None, "value": one.split(":")[1]} for one in ids],
        }
        for at, ids in enumerate(seen)
    ]
    return "".join(json.dumps(event) + "\n" for event in events)


def backtest(folder: Path, events: str, compare: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    (folder / "events.jsonl").write_text(events)
    (folder / "compare.yaml").write_text(compare)
    out = folder / "out"
    words = ["--events", "events.jsonl", "--rules", str(RULES), "--compare", "compare.yaml", "--out", str(out)]
    command = [sys.executable, "-m", "streams.cli", "backtest", *words, "--tenant", "siyu"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    assert done.returncode == 0, done.stderr
    told = [json.loads(line) for line in (out / "persons.jsonl").read_text().splitlines()]
    return json.loads(done.stdout)["identity"], told


def test_who_would_split_under_a_stricter_policy_is_listed_with_masked_phones(tmp_path: Path) -> None:
    events = lines(("uid:U1", "phone:13912340001"), ("uid:U1", "phone:13912340002"), ("uid:U2", "unionid:n2"))
    identity, told = backtest(tmp_path, events, STRICT)
    counts = {name: identity[name] for name in ("persons", "persons_with_compare", "merged", "split", "changed")}
    assert counts == {"persons": 2, "persons_with_compare": 3, "merged": 0, "split": 1, "changed": 0}
    (split,) = told
    assert identity["examples"] == {"split": [split]}
    first, second = "siyu phone:+86139****0001", "siyu phone:+86139****0002"
    assert (split["difference"], split["policy"]) == ("split", [[first, second, "siyu uid:U1"]])
    assert sorted(split["compare"]) == [[first, "siyu uid:U1"], [second]]


def test_who_would_merge_under_a_looser_policy_is_listed(tmp_path: Path) -> None:
    events = lines(("uid:U1", "unionid:n1"), ("uid:U2", "unionid:n1"), ("uid:U3",))
    identity, told = backtest(tmp_path, events, LOOSE)
    assert (identity["merged"], identity["split"], identity["changed"]) == (1, 0, 0)
    assert told[0]["compare"] == [["siyu uid:U1", "siyu uid:U2", "siyu unionid:n1"]]


def test_the_same_policy_changes_nobody(tmp_path: Path) -> None:
    events = lines(("uid:U1", "unionid:n1"), ("uid:U2", "unionid:n1"))
    identity, told = backtest(tmp_path, events, "policy: same\nversion: 1\n")
    assert (told, identity["examples"]) == ([], {})


def test_a_policy_with_a_fault_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").write_text(lines(("uid:U1",)))
    (tmp_path / "bad.yaml").write_text("policy: bad\n")
    words = ["--events", "events.jsonl", "--rules", str(RULES), "--policy", "bad.yaml", "--out", "out"]
    command = [sys.executable, "-m", "streams.cli", "backtest", *words, "--tenant", "siyu"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "bad.yaml:1: version is missing" in done.stderr


def test_a_backtest_that_failed_leaves_a_folder_that_the_next_one_takes(tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").write_text(lines(("uid:U1",)))
    words = ["--events", "events.jsonl", "--out", "out", "--tenant", "siyu"]
    command = [sys.executable, "-m", "streams.cli", "backtest", *words]
    failed = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert "name a folder with --rules" in failed.stderr
    done = subprocess.run([*command, "--rules", str(RULES)], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (tmp_path / "out" / "summary.json").unlink()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    done = subprocess.run([*command, "--rules", str(RULES)], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert "holds something that is not a backtest's" in done.stderr
