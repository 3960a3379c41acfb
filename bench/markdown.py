"""A benchmark record as Markdown: one table per work, beside each peer how we compare."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from bench.model import OWN, Record, Row

_EQUAL = 1.005  # a ratio below this rounds to 1.00


def render(record: Record) -> str:
    """The text of ``docs/benchmarks/<name>.md``; a pure function of the record."""
    return "\n".join([*_head(record), *_tables(record), ""])


def _head(record: Record) -> Iterator[str]:
    machine = record.machine
    yield f"# Benchmark: {record.name}"
    yield ""
    yield (f"<!-- Made from {record.name}.json by `python -m bench.record`; do not edit. -->")
    yield ""
    yield record.method.strip()
    yield ""
    yield (
        f"Measured on {record.date} at commit `{record.commit}`: {machine.cores} cores of "
        f"{machine.cpu}, {number(machine.memory_gib)} GiB, Linux {machine.kernel}; "
        + ", ".join(f"{package} {version}" for package, version in record.versions.items())
        + "."
    )
    yield ""
    yield (
        "Each figure is the median of its rounds. Machines differ and drift: "
        "ratios carry over, absolute figures do not."
    )


def _tables(record: Record) -> Iterator[str]:
    for work in dict.fromkeys(row.work for row in record.rows):
        rows = [row for row in record.rows if row.work == work]
        yield from ("", f"## {work}", "")
        yield from _table([headings(rows), *cells(rows)])


def _table(lines: list[list[str]]) -> Iterator[str]:
    head, *body = lines
    yield _line(head)
    yield _line(["---"] * len(head))
    yield from map(_line, body)


def _line(line: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |"


def headings(rows: list[Row]) -> list[str]:
    """The columns for the rows of one work: goal and comparison only where there is one."""
    names = ["metric", "subject", "median", "min … max", "rounds"]
    names += ["goal"] if _has_goal(rows) else []
    names += [f"{OWN} is"] if _has_peer(rows) else []
    return names


def cells(rows: list[Row]) -> list[list[str]]:
    """A line of cells for each row, in the order of ``headings``; equal metrics together."""
    own = {row.metric: row for row in rows if row.subject == OWN}
    metrics = list(dict.fromkeys(row.metric for row in rows))
    lines = []
    for row in sorted(rows, key=lambda row: metrics.index(row.metric)):
        line = [
            f"{row.metric} ({row.better} is better)",
            row.subject,
            f"{number(row.value)} {row.unit}",
            f"{number(row.min)} … {number(row.max)}",
            str(row.rounds),
        ]
        line += [_goal(row)] if _has_goal(rows) else []
        line += [compare(own.get(row.metric), row)] if _has_peer(rows) else []
        lines.append(line)
    return lines


def compare(own: Row | None, peer: Row) -> str:
    """How we stand to ``peer``: "2.10x better", "1.30x worse", "equal", or empty."""
    if own is None or peer.subject == OWN or own.value <= 0 or peer.value <= 0:
        return ""
    ratio = peer.value / own.value if own.better == "lower" else own.value / peer.value
    if max(ratio, 1 / ratio) < _EQUAL:
        return "equal"
    return f"{ratio:.2f}x better" if ratio > 1 else f"{1 / ratio:.2f}x worse"


def number(value: float) -> str:
    """Four significant digits at most, whole numbers in full, never an exponent."""
    if value == 0 or abs(value) >= 1000:
        return f"{value:.0f}"
    text = f"{value:#.4g}"
    if "e" in text:
        text = f"{value:.10f}"
    return text.rstrip("0").rstrip(".")


def _goal(row: Row) -> str:
    if row.goal is None:
        return ""
    met = row.value <= row.goal if row.better == "lower" else row.value >= row.goal
    sign = "≤" if row.better == "lower" else "≥"
    return f"{sign} {number(row.goal)}: {'met' if met else 'missed'}"


def _has_goal(rows: list[Row]) -> bool:
    return any(row.goal is not None for row in rows)


def _has_peer(rows: list[Row]) -> bool:
    return {row.subject for row in rows} > {OWN}
