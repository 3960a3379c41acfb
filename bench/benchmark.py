"""The recorder that every benchmark uses: rounds in, a table and a record out.

bench = Benchmark("push", method="One server on loopback, no TLS. ...")
cpu = Measure(work="10000 streams, one change", metric="server CPU per push", unit="us", goal=40)
for turn in bench.turns(["featmesh", "reference: bare gRPC stream"], rounds=9):
bench.add(cpu, turn.subject, measure(turn.subject))
bench.finish()
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.files import save
from bench.machine import RECORDS, commit, machine_facts, versions
from bench.markdown import cells, headings
from bench.model import Better, Raw, Record, Row

MAX_ROUNDS = 10_000
_SIGNIFICANT_DIGITS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """What is measured: at which work, in which unit, and which direction is better."""

    work: str
    metric: str
    unit: str
    better: Better = "lower"
    goal: float | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """One subject's turn to be measured, in round ``number`` (from 1)."""

    number: int
    subject: str


class Benchmark:
    """Collects the rounds of one run. Nothing is written before `finish`.

    ``packages`` are Python's, whose versions are looked up; ``tools`` are others with theirs.
    """

    def __init__(
        self,
        name: str,
        *,
        method: str,
        packages: Iterable[str] = (),
        tools: Mapping[str, str] | None = None,
        folder: Path = RECORDS,
        console: Console | None = None,
    ) -> None:
        self._name = name
        self._method = " ".join(method.split())
        self._versions = versions(packages) | dict(tools or {})
        self._folder = folder
        self._console = console or Console()
        self._commit = commit()  # of the code that runs, not of what is edited meanwhile
        self._rounds: dict[tuple[Measure, str], list[float]] = {}

    def scheduler(self, subjects: Sequence[str], *, rounds: int, what: str = "") -> Iterator[Turn]:
        """Each subject once per round, showing progress; every other round runs backwards.

        So no subject is always the first after a pause, and a machine's drift hits all alike.
        ``what`` names the part of the benchmark where it has several.

        Raises:
            ValueError: fewer than 1 or more than MAX_ROUNDS rounds.
        """
        if not 1 <= rounds <= MAX_ROUNDS:
            raise ValueError(f"rounds must be 1 to {MAX_ROUNDS}, not {rounds}")
        name = f"{self._name}, {what}" if what else self._name
        for number in range(1, rounds + 1):
            for subject in subjects if number % 2 else reversed(subjects):
                self._say(f"{name}: round {number} of {rounds}: {subject}")
                yield Turn(number, subject)

    def add(self, measure: Measure, subject: str, value: float) -> None:
        """Count ``value`` as the next round of ``measure`` for ``subject``.

        Raises:
            ValueError: the value is no finite number, or there are MAX_ROUNDS already.
        """
        if not math.isfinite(value):
            raise ValueError(f"{measure.metric} of {subject} is {value}")
        rounds = self._rounds.setdefault((measure, subject), [])
        if len(rounds) >= MAX_ROUNDS:
            raise ValueError(f"{measure.metric} of {subject} has {MAX_ROUNDS} rounds already")
        rounds.append(float(f"{value:.{_SIGNIFICANT_DIGITS}g}"))

    def record(self) -> Record:
        """The record of what was added so far."""
        return Record(
            name=self._name,
            date=datetime.now(UTC).date().isoformat(),
            commit=self._commit,
            machine=machine_facts(),
            versions=self._versions,
            method=self._method,
            rows=tuple(_row(*key, values) for key, values in self._rounds.items()),
            raw=tuple(
                Raw(measure.work, subject, measure.metric, tuple(values))
                for (measure, subject), values in self._rounds.items()
            ),
        )

    def finish(self) -> Record:
        """Print the tables and write ``<name>.json`` and ``<name>.md``.

        Raises:
            RecordError: the record breaks the format, for one because nothing was added.
        """
        record = self.record()
        for work in dict.fromkeys(row.work for row in record.rows):
            rows = [row for row in record.rows if row.work == work]
            self._console.print(_table(work, rows))
        self._say(f"written: {save(record, self._folder)}")
        return record

    def _say(self, line: str) -> None:
        self._console.print(line, style="dim", highlight=False, markup=False)


def _row(measure: Measure, subject: str, values: list[float]) -> Row:
    median = statistics.median(values)
    return Row(
        work=measure.work,
        subject=subject,
        metric=measure.metric,
        unit=measure.unit,
        value=float(f"{median:.{_SIGNIFICANT_DIGITS}g}"),
        min=min(values),
        max=max(values),
        rounds=len(values),
        goal=measure.goal,
        better=measure.better,
    )


def _table(work: str, rows: list[Row]) -> Table:
    table = Table(title=work, title_justify="left")
    for heading in headings(rows):
        table.add_column(heading)
    for line in cells(rows):
        table.add_row(*line)
    return table
