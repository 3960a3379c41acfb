"""Every example of the documentation runs, against a server on a real socket."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from openfeature import api

import featmesh
from featmesh.engine import FULL_WEIGHT, Rollout, Share, ValueType
from featmesh.sync.v1 import sync_pb2

from .client.frames import flag, full, result, results
from .client.stage import LIMIT, Request, Response, Stage, running_stage

ROOT = Path(__file__).parents[3]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def _with_names(example: str) -> str:
    """The example with what a reader puts in the place of the README's words."""
    for word, name in (
        ('"127.0.0.1:7401"', "ADDRESS"),
        ('"YOUR-SERVER-KEY"', "SERVER_KEY"),
        ('"YOUR-CLIENT-KEY"', "CLIENT_KEY"),
    ):
        example = example.replace(word, name)
    return example


EXAMPLES = [
    pytest.param(_with_names(text), id=f"{path.stem}-{number}")
    for path in (ROOT / "docs/sdk/python.md", ROOT / "sdks/python/README.md")
    for number, text in enumerate(BLOCK.findall(path.read_text()), start=1)
]


def first_frame(request: Request) -> Response:
    """What the documentation's shop serves."""
    if isinstance(request, sync_pb2.SyncEvaluationsRequest):
        return results(1, result("homepage-banner", "hello"))
    return full(
        1,
        replace(flag("one-click-buy"), rules=(), fallthrough=Rollout((Share("v", FULL_WEIGHT),))),
        flag("homepage-banner", "hello", value_type=ValueType.STRING),
        flag("free-shipping-threshold", 40.0, value_type=ValueType.NUMBER),
        flag("checkout-layout", '{"steps": 2}', value_type=ValueType.JSON),
    )


@pytest.fixture
def shop() -> Iterator[Stage]:
    with running_stage() as stage:
        stage.first_frame = first_frame
        yield stage
    api.clear_providers()


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_runs(
    example: str, shop: Stage, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = set(threading.enumerate())
    names = {
        "featmesh": featmesh,
        "ADDRESS": shop.address,
        "SERVER_KEY": "server-key",
        "CLIENT_KEY": "client-key",
        "DIRECTORY": str(tmp_path),
    }
    exec(compile(example, "<example>", "exec"), names)
    for thread in set(threading.enumerate()) - before:
        if thread.name.startswith("featmesh"):
            thread.join(LIMIT)
            assert not thread.is_alive(), "an example closes what it opens"
    assert not capsys.readouterr().err


def test_the_options_of_the_reference_are_those_there_are() -> None:
    text = (ROOT / "docs/sdk/python.md").read_text()
    settings = text[text.index("## Settings") :]
    named = {name for line in settings.splitlines() for name in _names(line)}
    assert named == set(featmesh.Options.__dataclass_fields__)


def _names(line: str) -> list[str]:
    cell = line.split("|")[1] if line.startswith("| `") else ""
    return re.findall(r"`(\w+)`", cell)
