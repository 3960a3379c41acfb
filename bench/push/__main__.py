"""Pushing to many streams, beside references: ``make bench-push``.

Every scenario is bounded in streams, changes and time. An interrupted run leaves nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from bench.push import building
from bench.push.installation import running_installation
from bench.push.processes import TooFewFiles, allow_files
from bench.push.run import Run
from bench.push.scenarios import (
    big_set,
    burst,
    clients,
    environments,
    fan_out,
    stalled,
    storm,
    unary,
)
from bench.push.sizes import FULL, QUICK, Size
from bench.record import RECORDS, Benchmark

ROUNDS: Final = 3
PACKAGES: Final = ("grpcio", "protobuf", "motor", "pymongo", "aio-pika", "uvloop")
SCENARIOS: Final[Mapping[str, Callable[[Run], Awaitable[None]]]] = {
    "fan-out": fan_out.scenario,
    "environments": environments.scenario,
    "burst": burst.scenario,
    "unary": unary.scenario,
    "storm": storm.scenario,
    "big-set": big_set.scenario,
    "stalled": stalled.scenario,
    "clients": clients.scenario,
}
METHOD: Final = """
Changes go through the real api, MongoDB and RabbitMQ to evaluation, which is started anew for
each turn. Streams are opened by a generator in Go over loopback, each on a TCP connection of its
own (HTTP/2 by x/net's framer, one goroutine for each), which reads the clock, CLOCK_REALTIME of
the same machine, when a change set's last frame has been read from the socket (receipt), and asks
the kernel when it came there (write: over loopback, when the server wrote it). It is scheduled as
a batch job (SCHED_BATCH): readers on machines of their own interrupt no server. The commit is the
time of the transaction's entry in MongoDB's oplog, the middle of its ms. References have no
commit: theirs counts from the first write, of a frame with the same flag, and they have no store,
no broker, no authentication and nothing to catch up with. A turn's latency is the median over its
changes, its CPU that of all the server's processes over all its changes, with what else they did
in that time. The phases around the snapshot are means: each evaluation worker exports when its
snapshots were there, and the one that is first counts. Idle is a minute after a first round of
heartbeats; the kernel asks connections that were silent for 15 minutes, of which there are none.
What client streams cost beyond server streams is the median over 20 pairs of changes, one of
each, with all of both open. Unary latency counts from when a call was due. Memory is resident
memory of the server's processes, without the kernel's socket buffers. Two cores are shared by
servers, mongod, RabbitMQ and generator; TLS, real networks and several replicas are not measured.
"""


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """What to run."""
    parser = argparse.ArgumentParser(prog="python -m bench.push", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument(
        "--only", default=",".join(SCENARIOS), help="names with commas between: %(default)s"
    )
    parser.add_argument("--quick", action="store_true", help="small, and without goals")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a variable of the evaluation service",
    )
    options = parser.parse_args(arguments)
    unknown = set(options.only.split(",")) - SCENARIOS.keys()
    if unknown:
        parser.error(f"no scenario {', '.join(sorted(unknown))}; there are {', '.join(SCENARIOS)}")
    return options


async def measure(bench: Benchmark, size: Size, options: argparse.Namespace) -> None:
    """All scenarios that were asked for."""
    variables = dict(each.partition("=")[::2] for each in options.set)
    program = building.generator()
    async with running_installation(variables) as installation:
        run = Run(bench, size, options.rounds, installation, program)
        for name in options.only.split(","):
            await SCENARIOS[name](run)


def main(arguments: Sequence[str]) -> None:
    """Runs the benchmark and writes its record."""
    options = parse(arguments)
    size = QUICK if options.quick else FULL
    try:
        allow_files(size.streams)
        bench = Benchmark(
            "push",
            method=METHOD,
            packages=PACKAGES,
            tools=building.versions(),
            folder=folder_of(options),
        )
        asyncio.run(measure(bench, size, options))
    except (TooFewFiles, building.CannotBuild) as error:
        sys.exit(str(error))
    bench.finish()


def folder_of(options: argparse.Namespace) -> Path:
    """The records' folder for all scenarios at full size; what is less replaces no record."""
    whole = not options.quick and set(options.only.split(",")) == SCENARIOS.keys()
    return RECORDS if whole else building.FOLDER


if __name__ == "__main__":
    main(sys.argv[1:])
