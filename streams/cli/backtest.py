"""`siyu backtest`: what rules would have done over recorded events, deterministically, with nothing sent.

In: JSON lines in arrival order or a recorded journal, rules, a merge policy; others to compare with. Out: JSON lines of
triggers, decisions, identity changes and dead letters, who would be treated differently, a summary, a database to
query. Never: a broker; a wall clock.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from streams.cli.failure import Failure
from streams.cli.rulefiles import good_rules
from streams.settings import Settings

NAME = "backtest"
HELP = "the pipeline over recorded events, with nothing sent"
EXAMPLE = "siyu backtest --events history.jsonl --rules deploy/rules --out build/backtest"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to run over, which rules, and where the results go."""
    parser.add_argument(
        "--events",
        type=Path,
        nargs="+",
        required=True,
        metavar="FILE",
        help="JSON lines in arrival order, or a journal",
    )
    parser.add_argument("--rules", type=Path, metavar="DIR", help="rule files; a recorded journal has its own")
    told = "a merge policy in place of the default, and of those of a recorded journal"
    parser.add_argument("--policy", type=Path, metavar="FILE", help=told)
    told = "other rule files (a folder), or another merge policy (a file): who would be treated differently"
    parser.add_argument("--compare", type=Path, metavar="PATH", help=told)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="a folder for the results")
    parser.add_argument(
        "--settle", type=float, default=0, metavar="HOURS", help="let the clock run on for so long after the last event"
    )
    parser.add_argument(
        "--tenant", action="append", metavar="T", help="tenants (default: settings, else all there are)"
    )


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Runs it; 0 where it ran, whatever it found."""
    from streams.cli.compared import persons_of, write  # noqa: PLC0415 loads Arrow
    from streams.cli.recorded import Recording  # noqa: PLC0415

    rules = _rules(arguments.rules, settings) if arguments.rules else None
    policy = _policy(arguments.policy) if arguments.policy else None
    other_rules, other_policy = _others(arguments.compare, settings, rules, policy)
    out = _emptied(arguments.out)
    recording = Recording(arguments.events, settings, tuple(arguments.tenant or ()), arguments.settle)
    summary = _fold(recording, rules, policy, out, stored=True)
    if arguments.compare:
        before = persons_of(recording.engines)
        with ExitStack() as stack:
            beside = out / "compared"
            stack.callback(shutil.rmtree, beside, ignore_errors=True)
            beside.mkdir()
            _fold(recording, other_rules, other_policy, beside, stored=False)
            summary["compare"] = _compare(out, beside)
            if other_policy is not policy:
                summary["identity"] = write(out / "persons.jsonl", before, persons_of(recording.engines))
    (out / "summary.json").write_text(json.dumps(summary, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    print(json.dumps(summary, ensure_ascii=False))
    return 0


def _rules(path: Path, settings: Settings) -> dict[str, str]:
    return {file.stem: text for file, text in good_rules(path, settings).items()}


def _emptied(out: Path) -> Path:
    if out.exists() and any(out.iterdir()) and not _is_backtests(out):
        raise Failure(f"{out} holds something that is not a backtest's; name another folder with --out")
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    return out


def _is_backtests(out: Path) -> bool:
    """Whether a backtest filled this folder: one that ended, or one that failed and left its own files only."""
    from streams.cli.results import FILES  # noqa: PLC0415

    ours = {*FILES.values(), "chdb", "compared", "compare.jsonl", "persons.jsonl"}
    ended = (out / "summary.json").exists()
    return ended or ((out / "chdb").is_dir() and all(one.name in ours for one in out.iterdir()))


def _others(path: Path | None, settings: Settings, rules: Any, policy: Any) -> tuple[Any, Any]:
    """Rules and policy to compare with: a folder has other rules, a file is another policy."""
    if path is None:
        return None, None
    return (rules, _policy(path)) if path.is_file() else (_rules(path, settings), policy)


def _policy(path: Path) -> Any:
    from streams.cli.linting import lint_policy  # noqa: PLC0415
    from streams.cli.rules import read_text  # noqa: PLC0415

    text = read_text(path)
    policy = lint_policy(text) if isinstance(text, str) else text
    if isinstance(policy, list):
        raise Failure("; ".join(f"{path}:{fault.line}: {fault.sentence}" for fault in policy))
    return policy


def _fold(recording: Any, rules: dict[str, str] | None, policy: Any, out: Path, *, stored: bool) -> dict[str, Any]:
    from streams.cli.results import Results  # noqa: PLC0415

    with Results(out, stored=stored) as results:
        for shard, outputs in recording.fold(rules, results.dead_letter, policy):
            results.take(shard, outputs)
        return results.summary()


def _compare(ours: Path, other: Path) -> dict[str, int]:
    """Writes compare.jsonl: decisions that only one side made, or that it made otherwise; counts by difference."""
    first, second = _decided(ours), _decided(other)
    told: Counter[str] = Counter()
    with (ours / "compare.jsonl").open("w", encoding="utf-8") as file:
        for key in sorted(first.keys() | second.keys()):
            difference = _difference(first.get(key), second.get(key))
            told[difference] += 1
            if difference != "same":
                line = {"difference": difference, "rules": first.get(key), "compare": second.get(key)}
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
    return dict(sorted(told.items()))


def _difference(first: dict[str, Any] | None, second: dict[str, Any] | None) -> str:
    if first is None or second is None:
        return "only_with_compare" if first is None else "only_with_rules"
    names = ("verdict", "reason", "due_time", "one_id")
    return "same" if all(first[name] == second[name] for name in names) else "changed"


def _decided(folder: Path) -> dict[tuple[str, str], dict[str, Any]]:
    return {(line["trigger_id"], line["verdict"]): line for line in _lines(folder / "decisions.jsonl")}


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)
