"""The committed files' exact text."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Final

from sdks.conformance.authoring.booleans import booleans
from sdks.conformance.authoring.contexts import contexts
from sdks.conformance.authoring.experiments import experiments
from sdks.conformance.authoring.malformed import malformed
from sdks.conformance.authoring.numbers import numbers
from sdks.conformance.authoring.order import order
from sdks.conformance.authoring.patterns import patterns
from sdks.conformance.authoring.prerequisites import prerequisites
from sdks.conformance.authoring.rollouts import rollouts
from sdks.conformance.authoring.segments import segments
from sdks.conformance.authoring.suite import Json, Suite
from sdks.conformance.authoring.texts import texts
from sdks.conformance.authoring.times import times
from sdks.conformance.authoring.versions import versions
from sdks.conformance.authoring.worked import worked

VERSION: Final = "1.0.0"
"""Patch: wording. Minor: more cases. Major: an expectation or the format has changed."""

_SUITES = (
    order,
    contexts,
    prerequisites,
    texts,
    patterns,
    numbers,
    booleans,
    versions,
    times,
    segments,
    rollouts,
    experiments,
    malformed,
    worked,
)


def rendered() -> dict[str, str]:
    """Each file's text by its path below `sdks/conformance`: the vectors, then the index."""
    files: dict[str, str] = {}
    entries: list[Json] = []
    for make in _SUITES:
        suite = make()
        path = f"v1/{suite.name}.json"
        files[path] = _suite_text(suite)
        entries.append(
            {
                "path": path,
                "title": suite.title,
                "cases": len(suite.cases),
                "sha256": hashlib.sha256(files[path].encode()).hexdigest(),
            }
        )
    index = {
        "$schema": "schema/index.schema.json",
        "version": VERSION,
        "cases": sum(entry["cases"] for entry in entries),
    }
    files["index.json"] = _text(index, {"files": entries})
    return files


def _suite_text(suite: Suite) -> str:
    head = {
        "$schema": "../schema/vectors.schema.json",
        "version": VERSION,
        "name": suite.name,
        "title": suite.title,
    }
    lists = {
        "flags": suite.flags.values(),
        "segments": suite.segments.values(),
        "cases": suite.cases.values(),
    }
    return _text(head, lists)


def _text(head: Json, lists: Mapping[str, Iterable[Json]]) -> str:
    """JSON in ASCII, so that no editor composes an accent, with one item per line."""
    parts = [f'  "{name}": {json.dumps(value)}' for name, value in head.items()]
    for name, items in lists.items():
        lines = ",\n".join(f"    {json.dumps(item)}" for item in items)
        parts.append(f'  "{name}": [\n{lines}\n  ]' if lines else f'  "{name}": []')
    return "{\n" + ",\n".join(parts) + "\n}\n"
