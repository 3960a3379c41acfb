from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from featmesh.insights.v1 import insights_pb2
from featmesh.sync.v1 import sync_pb2

from .frames import flag, full, result, results
from .stage import Request, Response, Stage

LIMIT = 20.0
"""Seconds for a process that forks; it bounds each of its own waits by 10."""

CHILDREN = 3

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="forks need a Unix")


def first_frame(request: Request) -> Response:
    if isinstance(request, sync_pb2.SyncDefinitionsRequest):
        return full(1, flag("dark"))
    return results(1, result("dark", value=True))


def run(stage: Stage, *, support: str) -> tuple[list[str], str]:
    """The lines and the log of a process that forks."""
    script = Path(__file__).with_name("forking.py")
    stage.first_frame = first_frame
    done = subprocess.run(
        [sys.executable, str(script), stage.address, str(CHILDREN)],
        env=os.environ | {"GRPC_ENABLE_FORK_SUPPORT": support},
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return sorted(done.stdout.splitlines()), done.stderr


def batches(stage: Stage) -> list[insights_pb2.TrackRequest]:
    return [stage.next_batch() for _ in range(stage.tracked.qsize())]


def test_children_stream_and_report_on_their_own_and_their_parent_goes_on(stage: Stage) -> None:
    lines, _ = run(stage, support="1")
    assert lines == ["child True READY True True"] * CHILDREN + [
        f"parent {[0] * CHILDREN} READY True"
    ]
    sent = batches(stage)
    born = [metric.user_key for batch in sent for metric in batch.metrics]
    assert sorted(born) == [f"child-{number}" for number in range(CHILDREN)]
    instances = [batch.sdk.instance_id for batch in sent if batch.metrics]
    assert len(set(instances)) == CHILDREN, "each child is an instance of its own"
    events = [event for batch in sent for event in batch.evaluations]
    reporters = [event.user_key for event in events if event.user_key == "parent"]
    assert len(reporters) == 1, "no child sends what its parent counted"
    assert all(event.count == 1 for event in events if event.user_key.startswith("child"))


def test_where_grpc_cannot_be_forked_a_child_serves_what_it_has_and_says_so(stage: Stage) -> None:
    lines, log = run(stage, support="0")
    assert lines == ["child True STALE True True"] * CHILDREN + [
        f"parent {[0] * CHILDREN} READY True"
    ]
    assert "GRPC_ENABLE_FORK_SUPPORT=1" in log
