"""Where the CPU of a push goes: ``make profile-push``.

Pushes as the first scenario of `bench-push` does, once as it is and once sampled by perf, which
must be on the machine. Samples are told apart by the file that their instruction comes from.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bench.model import OWN
from bench.push import building
from bench.push.generator import Generator, Opening, running_generator
from bench.push.installation import running_installation
from bench.push.processes import TooFewFiles, allow_files, family, settle
from bench.push.run import open_all, push_all
from bench.push.sizes import FULL
from bench.push.subjects import Server, openers
from bench.record import Benchmark, Measure

ROUNDS: Final = 3
CHANGES: Final = 12
SAMPLES_A_SECOND: Final = 1_999
PERF_SECONDS: Final = 60.0
PACKAGES: Final = ("grpcio", "protobuf", "uvloop")

PARTS: Final = (
    ("kernel: writing to sockets, TCP over loopback, switches", ("[kernel", "[vdso")),
    ("gRPC's core and its Python layer", ("cygrpc",)),
    ("Python: the interpreter, protobuf, uvloop", ("libpython", "python", "loop.", "_message")),
    ("C library: memory, copies, threads", ("libc.", "ld-linux", "libstdc++", "libpthread")),
)
OTHER: Final = "everything else"
METHOD: Final = """
One flag of 1 KB is changed again and again with 10,000 server streams in one environment, as in
the first scenario of push.md, two workers. CPU per push is measured without perf; perf then
samples all of evaluation's processes (cpu-clock, 1,999 a second) during as many changes, and the
shares are of its samples. Python's own extension modules that are not named count as everything
else. The phases between request and last receipt are in push.md.
"""

_GROUP: Final = "all"
_LINE: Final = re.compile(r"^\s*([\d.]+)%\s+(\S+)")


class NoPerf(Exception):
    """perf is missing, or may not sample here; the text says which."""


def shares(report: str) -> dict[str, float]:
    """Percent of each part, by what ``perf report --sort dso`` printed."""
    found = dict.fromkeys((*(name for name, _ in PARTS), OTHER), 0.0)
    for line in report.splitlines():
        if match := _LINE.match(line):
            found[_part(match[2])] += float(match[1])
    return found


def _part(file: str) -> str:
    return next((name for name, starts in PARTS if file.startswith(starts)), OTHER)


async def measure(bench: Benchmark) -> None:
    """All rounds."""
    program = building.generator()
    async with running_installation({}) as installation:
        for _ in bench.scheduler([OWN], rounds=ROUNDS, what="profile"):
            async with (
                openers(installation)[OWN]() as server,
                running_generator(program, is_polite=True) as generator,
            ):
                target = Opening(target=server.address, streams=FULL.streams, keys=server.keys)
                await open_all(generator, _GROUP, target)
                await settle(server.pid)
                cost = await _push(generator, server)
                with tempfile.TemporaryDirectory() as folder:
                    samples = Path(folder) / "samples"
                    with _sampled(server.pid, samples):
                        await _push(generator, server)
                    note(bench, cost, shares(_report(samples)))
                await generator.close_all()


def note(bench: Benchmark, cost: float, found: Mapping[str, float]) -> None:
    """One round: the whole, and each part's share of it, in us."""
    bench.add(_row("all of evaluation's processes"), OWN, cost)
    for part, percent in found.items():
        bench.add(_row(part), OWN, cost * percent / 100)


def _row(part: str) -> Measure:
    return Measure(work="CPU of a push to one stream", metric=part, unit="us", better="lower")


async def _push(generator: Generator, server: Server) -> float:
    """CPU per push in us."""
    pushed = await push_all(
        generator,
        _GROUP,
        pid=server.pid,
        push=server.push,
        changes=CHANGES,
        timed=server.timed,
    )
    return pushed.server_cpu


@contextmanager
def _sampled(pid: int, samples: Path) -> Iterator[None]:
    """Samples a service's processes into this file while entered; raises `NoPerf`."""
    pids = ",".join(map(str, family(pid)))
    command = ["perf", "record", "-F", str(SAMPLES_A_SECOND), "-e", "cpu-clock", "-p", pids]
    with subprocess.Popen(
        [*command, "-o", samples], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield
        finally:
            process.send_signal(signal.SIGINT)
            said = _last_words(process)
    if not samples.exists() or not samples.stat().st_size:
        raise NoPerf(f"perf cannot sample here: {said.strip()}")


def _last_words(process: subprocess.Popen[str]) -> str:
    try:
        return process.communicate(timeout=PERF_SECONDS)[1]
    except subprocess.TimeoutExpired:
        process.kill()
        return f"it did not end within {PERF_SECONDS:g} seconds"


def _report(samples: Path) -> str:
    command = ["perf", "report", "-i", str(samples), "--no-children", "--sort", "dso", "--stdio"]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=PERF_SECONDS, check=False
    )
    if done.returncode:
        raise NoPerf(f"perf cannot read its samples: {done.stderr.strip()[-500:]}")
    return done.stdout


def main() -> None:
    """Runs the benchmark and writes its record."""
    try:
        if shutil.which("perf") is None:
            raise NoPerf("perf is not on the path; it comes with the kernel's tools")
        allow_files(FULL.streams)
        bench = Benchmark("push-profile", method=METHOD, packages=PACKAGES)
        asyncio.run(measure(bench))
    except (TooFewFiles, building.CannotBuild, NoPerf) as error:
        sys.exit(str(error))
    bench.finish()


if __name__ == "__main__":
    main()
