"""The table of a run, for people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table

from tests.chaos.trial import Outcome


def table(outcomes: Sequence[Outcome]) -> Table:
    """One row for each fault, and one for all."""
    rows = Table("fault", title="Faults survived")
    for heading in ("times tried", "updates written", "updates lost", "longest staleness"):
        rows.add_column(heading, justify="right")
    by_fault: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        by_fault.setdefault(outcome.fault, []).append(outcome)
    for fault, tried in by_fault.items():
        rows.add_row(fault, *_cells(tried))
    rows.add_section()
    rows.add_row("all", *_cells(outcomes))
    return rows


def _cells(outcomes: Sequence[Outcome]) -> Iterable[str]:
    longest = max((each.staleness for each in outcomes), default=0.0)
    written = sum(each.written for each in outcomes)
    lost = sum(each.lost for each in outcomes)
    return (str(len(outcomes)), str(written), str(lost), f"{longest:.2f} s")


def explain(console: Console, broken: Iterable[str], log: Iterable[str]) -> None:
    """What broke, and what had happened until then."""
    console.print("[bold red]Broken:[/]")
    for sentence in broken:
        console.print(f"  {sentence[:600]}", markup=False, highlight=False)
    console.print("[bold]What led there:[/]")
    for line in log:
        console.print(f"  {line}", markup=False, highlight=False)
