"""``python -m tests.chaos``: breaks a real mesh in every way there is, and proves what it kept."""

from __future__ import annotations

import argparse
import logging
import os
import secrets
import sys
import tempfile
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import uvloop
from rich.console import Console

from tests.chaos.cluster import running_cluster
from tests.chaos.faults import FAULTS, Fault
from tests.chaos.plan import each_once, for_minutes
from tests.chaos.report import explain, table
from tests.chaos.stage import staged
from tests.chaos.trial import Outcome, try_fault

SEED_VARIABLE: Final = "FEATMESH_CHAOS_SEED"
_WIDTH: Final = 120
_EVENTS_KEPT: Final = 40


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--faults", default="all", help="names, separated by commas; default: all")
    parser.add_argument("--seed", default=os.environ.get(SEED_VARIABLE) or secrets.token_hex(4))
    parser.add_argument(
        "--minutes", type=float, help="try random faults for so long; default: each once"
    )
    parser.add_argument(
        "--pace", type=float, default=1.0, help="how long faults last, against in full; default: 1"
    )
    parser.add_argument("--folder", type=Path, help="keep logs and data in this new folder")
    parser.add_argument("--list", action="store_true", help="say which faults there are")
    return parser.parse_args()


def _chosen(names: str) -> Sequence[Fault]:
    if names == "all":
        return FAULTS
    wanted = [name.strip() for name in names.split(",")]
    known = {fault.name: fault for fault in FAULTS}
    if unknown := [name for name in wanted if name not in known]:
        sys.exit(f"no such fault: {', '.join(unknown)}; --list says which there are")
    return [known[name] for name in wanted]


@contextmanager
def _folder(kept: Path | None) -> Iterator[Path]:
    if kept is not None:
        kept.mkdir(parents=True)
        yield kept
        return
    with tempfile.TemporaryDirectory(prefix="featmesh-chaos-") as folder:
        yield Path(folder)


async def _run(console: Console, plan: Iterator[Fault], arguments: argparse.Namespace) -> bool:
    """Whether every invariant held; ends at the first that did not."""
    outcomes: list[Outcome] = []
    log: deque[str] = deque(maxlen=_EVENTS_KEPT)
    broken: tuple[str, ...] = ()
    with _folder(arguments.folder) as folder:
        console.print("Starting three mongods, RabbitMQ and five services ...")
        try:
            async with running_cluster(folder) as cluster, staged(cluster, arguments, log) as stage:
                for fault in plan:
                    outcome = await try_fault(stage, fault)
                    outcomes.append(outcome)
                    console.print(_line(outcome))
                    if broken := outcome.broken:
                        break
        except ExceptionGroup as failures:  # of the writers, who meet no error but a fault's
            broken = tuple(_sentences(failures))
    if broken:
        explain(console, broken, log)
    console.print(table(outcomes))
    seed = arguments.seed
    console.print(f"Seed: {seed} ({SEED_VARIABLE}={seed} writes and breaks the same again)")
    return not broken


def _sentences(failures: ExceptionGroup[Exception]) -> Iterator[str]:
    for each in failures.exceptions:
        if isinstance(each, ExceptionGroup):
            yield from _sentences(each)
        else:
            yield f"{type(each).__name__}: {each}"


def _line(outcome: Outcome) -> str:
    held = "BROKEN" if outcome.broken else "held"
    return (
        f"{held:6} {outcome.fault:30} {outcome.written:5} updates, {outcome.lost} lost, "
        f"staleness {outcome.staleness:6.2f} s, in {outcome.seconds:5.1f} s"
    )


def main() -> None:
    """Exits with 1 when an invariant broke."""
    arguments = _arguments()
    logging.getLogger("featmesh").setLevel(logging.CRITICAL)  # SDKs tell of faults, as they must
    console = Console(soft_wrap=True, width=_WIDTH)
    if arguments.list:
        for fault in FAULTS:
            console.print(f"{fault.name:32} {fault.what}")
        return
    console.print(f"Seed: {arguments.seed}")
    faults, seed, minutes = _chosen(arguments.faults), arguments.seed, arguments.minutes
    plan = each_once(faults) if minutes is None else for_minutes(faults, seed, minutes)
    try:
        held = uvloop.run(_run(console, plan, arguments))
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(0 if held else 1)


if __name__ == "__main__":
    main()
