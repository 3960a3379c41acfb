"""The Python engine against the vectors that every SDK has to pass."""

from __future__ import annotations

import pytest

from featmesh.engine import Snapshot, evaluate
from featmesh.wire import (
    context_from_proto,
    flag_from_proto,
    result_to_proto,
    segment_from_proto,
)

from .vectors import PATHS, Case, read_vectors, without_revision

NOW_MS = 1_700_000_000_000
"""No operator reads the clock."""


def _answers(path: str) -> list[tuple[Case, object]]:
    vectors = read_vectors(path)
    flags = map(flag_from_proto, vectors.flags)
    snapshot = Snapshot.build(1, flags, map(segment_from_proto, vectors.segments))
    answers: list[tuple[Case, object]] = []
    for case in vectors.cases:
        result = evaluate(snapshot, case.flag_key, context_from_proto(case.context), NOW_MS)
        answers.append((case, without_revision(result_to_proto(result, for_client=False))))
    return answers


@pytest.mark.parametrize("path", PATHS)
def test_the_engine_gives_every_expected_result(path: str) -> None:
    failures = [
        f"{case.id}: expected {{{case.expected}}}, got {{{answer}}}"
        for case, answer in _answers(path)
        if answer != case.expected
    ]
    assert not failures, "\n".join(failures)
