"""How many workers a service has by default."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from services.runtime.cores import usable_cores

AVAILABLE = len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("limit", "cores"),
    [
        ("100000 100000", 1),
        ("50000 100000", 1),
        ("150000 100000", min(2, AVAILABLE)),
        ("6400000 100000", min(64, AVAILABLE)),
        ("max 100000", AVAILABLE),
        ("nonsense", AVAILABLE),
    ],
)
def test_a_container_uses_the_cores_that_it_is_limited_to(
    tmp_path: Path, limit: str, cores: int
) -> None:
    (tmp_path / "cpu.max").write_text(limit)
    assert usable_cores(tmp_path / "cpu.max") == cores


def test_outside_a_container_all_cores_that_we_may_run_on_are_used(tmp_path: Path) -> None:
    assert usable_cores(tmp_path / "cpu.max") == AVAILABLE
