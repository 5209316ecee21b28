"""What the demo shows: progress while it runs, then one screen.

In: counts, the summary. Out: text on the terminal (plain lines where it is none). Never: a number of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rich.console import Console, Group
from rich.panel import Panel
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

_BEIJING = timedelta(hours=8)
_STEPS_SHOWN = 12


class Screen:
    """Progress of a run. `quiet` shows nothing."""

    def __init__(self, *, quiet: bool) -> None:
        self._console = Console(stderr=True, quiet=quiet)
        columns = (
            TextColumn("  {task.description:<28}"),
            BarColumn(32),
            TaskProgressColumn(),
            TextColumn("{task.fields[told]}"),
        )
        self._progress = Progress(*columns, TimeElapsedColumn(), console=self._console, transient=True)
        self._tasks: dict[str, Any] = {}

    def stage(self, text: str) -> None:
        """Says what begins now."""
        self._console.print(f"[dim]· {text}[/dim]", highlight=False)

    def show(self, sent: int, taken: Mapping[str, int], triggers: int) -> None:
        """Moves the bars: records sent, and of those folded by the engine and stored by the sink."""
        if not self._tasks:
            self.stage("playing days of traffic through Kafka, Faust and ClickHouse")
            self._tasks = {name: self._progress.add_task(name, told="") for name in _BARS}
        for name, role in _BARS.items():
            self._progress.update(self._tasks[name], total=sent, completed=taken[role])
        self._progress.update(self._tasks["folded by the engine"], told=f"{sent:,} records, {triggers:,} triggers")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._progress.stop()


_BARS = {"folded by the engine": "engine", "stored in ClickHouse": "sink"}


def print_summary(summary: Mapping[str, Any], out: Path) -> None:
    """The one screen."""
    console = Console(highlight=False)
    good = summary["right"]
    verdict = "[green]everything as planned[/green]" if good else "[red]NOT as planned: see the red figures[/red]"
    parts = [
        _events(summary["events"]),
        _persons(summary["persons"]),
        _triggers(summary["triggers"]),
        _speed(summary["speed"]),
    ]
    console.print(Panel(Group(*parts), title="[bold]Siyu Streams[/bold]", subtitle=verdict, padding=(1, 2)))
    console.print(_path(summary["path"]))
    console.print(f"[dim]The same as data: {out}/summary.json · logs of each worker: {out}/logs[/dim]")


def _line(title: str, text: str) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(width=10, style="bold cyan")
    table.add_column()
    table.add_row(title, text)
    return table


def _checked(value: int, wanted: int = 0) -> str:
    return f"[green]{value:,}[/green]" if value == wanted else f"[red]{value:,} (planned: {wanted:,})[/red]"


def _events(events: Mapping[str, Any]) -> Table:
    planned, refused = events["planned"], events["refused"]
    reasons = ", ".join(f"{name.replace('_', ' ')} {number}" for name, number in refused.items())
    return _line(
        "Events",
        f"{events['in']:,} in · accepted {_checked(events['accepted'], planned['accepted'])} · duplicate "
        f"{_checked(events['duplicate'], planned['duplicate'])} · refused "
        f"{_checked(sum(refused.values()), planned['refused'])}\n[dim]{reasons}[/dim]",
    )


def _persons(persons: Mapping[str, Any]) -> Table:
    from bench.verdict import PRECISION, RECALL  # noqa: PLC0415 `siyu --help` must stay fast

    precision = _share(persons["precision"], PRECISION)
    recall = _share(persons["recall_of_evidence"], RECALL)
    return _line(
        "Persons",
        f"{persons['found']:,} found, {persons['true']:,} there are · pairs of ids: precision {precision}, recall of "
        f"what is proven {recall}\n[dim]of all there are {persons['recall']:.4f}; joining all that share an id, also "
        "tills' and recycled phones, family tablets and resold devices, would get precision "
        f"{persons['sharing_precision']:.4f}, recall {persons['sharing_recall']:.4f}[/dim]",
    )


def _share(value: float, least: float) -> str:
    return f"[green]{value:.4f}[/green]" if value >= least else f"[red]{value:.4f}[/red]"


def _triggers(triggers: Mapping[str, Any]) -> Table:
    not_sent = ", ".join(f"{name} {number}" for name, number in triggers["not_sent"].items())
    wrong = " · ".join(f"{name} {_checked(triggers[name])}" for name in ("missing", "extra", "double"))
    return _line(
        "Coupons",
        f"{triggers['due']:,} orders unpaid after an hour · fired {_checked(triggers['fired'], triggers['due'])} "
        f"· {wrong}\n"
        f"[dim]{triggers['revoked']} revoked, since the payment in time came late · not sent, with a reason: "
        f"{not_sent}[/dim]",
    )


def _speed(speed: Mapping[str, Any]) -> Table:
    return _line(
        "Speed",
        f"{speed['events_per_second']:,} events/s ({speed['records_per_second']:,} records/s) end to end · "
        f"trigger out {speed['trigger_seconds_p50']:.2f} s after its moment (p50), "
        f"{speed['trigger_seconds_p99']:.2f} s (p99)",
    )


def _path(steps: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(
        title="One customer, every touchpoint", title_justify="left", box=None, padding=(0, 2), show_header=False
    )
    for step in steps[:_STEPS_SHOWN]:
        told = datetime.fromtimestamp(step["time_ms"] / 1000, UTC) + _BEIJING
        amount = f"¥{step['amount_fen'] / 100:.2f}" if step["amount_fen"] else ""
        what = " ".join(filter(None, (step["order_id"], step["item_id"], amount)))
        table.add_row(
            f"{told:%m-%d %H:%M}", step["touchpoint"].replace("_", " "), step["event"].replace("_", " "), what
        )
    if len(steps) > _STEPS_SHOWN:
        table.add_row("", f"[dim]and {len(steps) - _STEPS_SHOWN} more[/dim]")
    return table
