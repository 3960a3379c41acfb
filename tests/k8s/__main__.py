"""`python -m tests.k8s [FOLDER]`: validate every kustomization under k8s/; 1 if any is at fault."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TextIO

from tests.k8s.validate import K8S, RenderError, Report, kustomizations, validate


def main(arguments: list[str]) -> int:
    """Print a line per document and all faults, of every kustomization, then the count."""
    root = Path(arguments[0]) if arguments else K8S
    folders = kustomizations(root)
    if not folders:
        _write(sys.stderr, f"no kustomization.yaml under {root}")
        return 1
    faults = sum(_check(folder) for folder in folders)
    _write(sys.stdout, f"kustomizations: {len(folders)}, faults: {faults}")
    return 1 if faults else 0


def _check(folder: Path) -> int:
    try:
        reports = validate(folder)
    except RenderError as error:
        _write(sys.stdout, f"BAD  {folder}: {error}")
        return 1
    for report in reports:
        _show(folder, report)
    return sum(len(report.faults) for report in reports)


def _show(folder: Path, report: Report) -> None:
    mark = "BAD " if report.faults else "ok  "
    _write(sys.stdout, f"{mark} {folder} {report.document}")
    for fault in report.faults:
        _write(sys.stdout, f"       {fault}")


def _write(stream: TextIO, line: str) -> None:
    stream.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
