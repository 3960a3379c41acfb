"""The committed vectors, read as any SDK would: JSON of protobuf messages."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from google.protobuf.json_format import ParseDict

from featmesh.evaluation.v1 import evaluation_pb2
from featmesh.flag.v1 import flag_pb2, segment_pb2

FOLDER: Final = Path(__file__).parents[4] / "sdks" / "conformance"

INDEX: Final[dict[str, Any]] = json.loads((FOLDER / "index.json").read_text(encoding="utf-8"))

PATHS: Final[list[str]] = [entry["path"] for entry in INDEX["files"]]


@dataclass(frozen=True)
class Case:
    """One evaluation and what must come of it."""

    id: str
    flag_key: str
    context: evaluation_pb2.Context
    expected: evaluation_pb2.EvaluationResult
    rpc_status: str
    """The status with which a service refuses the context; empty if it takes it."""


@dataclass(frozen=True)
class Vectors:
    """One file."""

    flags: list[flag_pb2.Flag]
    segments: list[segment_pb2.Segment]
    cases: list[Case]


def read_json(path: str) -> dict[str, Any]:
    """One file of the folder as it is."""
    content: dict[str, Any] = json.loads((FOLDER / path).read_text(encoding="utf-8"))
    return content


def read_vectors(path: str) -> Vectors:
    """One file of vectors."""
    content = read_json(path)
    return Vectors(
        flags=[ParseDict(each, flag_pb2.Flag()) for each in content["flags"]],
        segments=[ParseDict(each, segment_pb2.Segment()) for each in content["segments"]],
        cases=[_case(each) for each in content["cases"]],
    )


def without_revision(result: evaluation_pb2.EvaluationResult) -> evaluation_pb2.EvaluationResult:
    """The result as vectors have it: they say nothing of revisions, which a store gives."""
    plain = evaluation_pb2.EvaluationResult()
    plain.CopyFrom(result)
    plain.ClearField("flag_revision")
    return plain


def _case(content: dict[str, Any]) -> Case:
    return Case(
        id=content["id"],
        flag_key=content["flag_key"],
        context=ParseDict(content["context"], evaluation_pb2.Context()),
        expected=ParseDict(content["expected"], evaluation_pb2.EvaluationResult()),
        rpc_status=content.get("rpc_status", ""),
    )
