"""Benchmark records: what a benchmark imports, and the command that keeps records in order.

`python -m bench.record FILE.json ...` makes each record's Markdown anew;
`python -m bench.record --check [FOLDER]` exits 1 if a record or its Markdown is at fault.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bench.benchmark import Benchmark, Measure, Turn
from bench.files import check, load, rerender, save
from bench.machine import RECORDS, own_cpu_seconds, percentile, process_cpu_seconds
from bench.model import OWN, Machine, Raw, Record, RecordError, Row

__all__ = [
    "OWN",
    "RECORDS",
    "Benchmark",
    "Machine",
    "Measure",
    "Raw",
    "Record",
    "RecordError",
    "Row",
    "Turn",
    "check",
    "load",
    "own_cpu_seconds",
    "percentile",
    "process_cpu_seconds",
    "rerender",
    "save",
]


def main(arguments: list[str]) -> int:
    """Run the command; 0 if all is well."""
    parser = argparse.ArgumentParser(prog="python -m bench.record", description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing, report faults")
    parser.add_argument("paths", nargs="*", type=Path, metavar="PATH", help="records, or a folder")
    options = parser.parse_args(arguments)
    if options.check:
        return _check(options.paths)
    if not options.paths:
        parser.error("name the records to render, or --check")
    return _rerender(options.paths)


def _check(folders: list[Path]) -> int:
    missing = [f"{folder}: is no folder" for folder in folders if not folder.is_dir()]
    faults = missing + [fault for folder in folders or [RECORDS] for fault in check(folder)]
    for fault in faults:
        sys.stderr.write(f"{fault}\n")
    return 1 if faults else 0


def _rerender(paths: list[Path]) -> int:
    failed = 0
    for path in paths:
        try:
            sys.stdout.write(f"written: {rerender(path)}\n")
        except (RecordError, OSError) as error:
            sys.stderr.write(f"{path}: {error}\n")
            failed = 1
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
