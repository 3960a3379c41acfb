"""What a run of pytest needs as a whole: its servers, who runs which test, and what it tells."""

from __future__ import annotations

import signal
from collections import Counter
from contextlib import ExitStack
from typing import Any, Final

import pytest
from xdist.scheduler import LoadScopeScheduling

from tests.support.mongodb import MONGODB, mongod_with_fail_points
from tests.support.rabbitmq import RABBITMQ, broker_for_workers, refuse_workers_on_a_given_broker
from tests.support.shared import offered

LONG: Final = "long"
"""The mark of a file's seconds, about; in a run of several processes the longest start first."""

FILE_SECONDS: Final = 60.0
"""A file of tests that takes longer is named at the end of the run."""

_MESHES: Final = ("three-services", "standalone")
"""Meshes that many files of tests/e2e share, as their tests' parameter names them."""


def pytest_configure(config: pytest.Config) -> None:
    """Offers the servers, in the process that stays until the end."""
    config.addinivalue_line("markers", f"{LONG}(seconds): a file that is to start early")
    _hear_ctrl_c()
    if not hasattr(config, "workerinput"):
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # `timeout` ends it as Ctrl-C
        config.pluginmanager.register(FileSeconds())
        refuse_workers_on_a_given_broker(config.getoption("numprocesses"))
        servers = ExitStack()
        config.add_cleanup(servers.close)
        servers.enter_context(
            offered({MONGODB: mongod_with_fail_points, RABBITMQ: broker_for_workers})
        )


def _hear_ctrl_c() -> None:
    """A shell starts background jobs with SIGINT ignored, and what they start inherits that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The longest first, so that none is left alone at the end."""
    if hasattr(config, "workerinput"):
        items.sort(key=_seconds, reverse=True)


def _seconds(item: pytest.Item) -> float:
    mark = item.get_closest_marker(LONG)
    return float(mark.args[0]) if mark else 0.0


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFixtures:
    """In the place of ``--dist``."""
    config.option.loadscopereorder = False
    return ByFixtures(config, log)


class ByFixtures(LoadScopeScheduling):  # type: ignore[misc]  # xdist carries no types
    """One process runs a file's tests, and the tests of a mesh that files share."""

    def _split_scope(self, nodeid: str) -> str:
        file, _, test = nodeid.partition("::")
        parameters = test.partition("[")[2].rstrip("]").split("-")
        shared = (mesh for mesh in _MESHES if set(mesh.split("-")) <= set(parameters))
        return next(shared, file) if file.startswith("tests/e2e/") else file


class FileSeconds:
    """Names the files that take long, before pytest's last line."""

    def __init__(self) -> None:
        self._seconds: Counter[str] = Counter()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Setup, test and teardown of one test."""
        self._seconds[report.nodeid.partition("::")[0]] += report.duration  # type: ignore[assignment]

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """One line for each."""
        for file, seconds in self._seconds.most_common():
            if seconds > FILE_SECONDS:
                terminalreporter.line(f"{seconds:.0f} s in {file}, more than {FILE_SECONDS:.0f}")
