"""Exports for tests: the shop of this repository, and small ones to break."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[2]
SHOP = REPOSITORY / "examples" / "shop"
REAL = REPOSITORY.parent / "shared" / "data" / "featbit"


def small_flag(**changed: Any) -> dict[str, Any]:
    flag: dict[str, Any] = {
        "key": "dark-mode",
        "name": "Dark mode",
        "variationType": "boolean",
        "variations": [
            {"id": "on", "name": "On", "value": "true"},
            {"id": "off", "name": "Off", "value": "false"},
        ],
        "targetUsers": [{"keyIds": ["ada"], "variationId": "on"}],
        "rules": [small_rule()],
        "isEnabled": True,
        "disabledVariationId": "off",
        "fallthrough": small_rollout(("on", 0, 0.1), ("off", 0.1, 1)),
        "exptIncludeAllTargets": True,
        "isArchived": False,
    }
    return {**flag, **changed}


def small_rule(*conditions: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": "rule-1",
        "name": "Rule 1",
        "conditions": list(conditions),
        **small_rollout(("on", 0, 1)),
    }


def small_rollout(*shares: tuple[str, float, float]) -> dict[str, Any]:
    return {
        "dispatchKey": None,
        "includedInExpt": False,
        "variations": [
            {"id": variation, "rollout": [start, end], "exptRollout": 1}
            for variation, start, end in shares
        ],
    }


def condition(name: str, operator: object, value: object) -> dict[str, Any]:
    return {"property": name, "op": operator, "value": value}


def small_segment(**changed: Any) -> dict[str, Any]:
    segment: dict[str, Any] = {
        "id": "segment-1",
        "name": "Beta testers",
        "included": ["ada"],
        "excluded": [],
        "rules": [{"id": "r", "name": "R", "conditions": [condition("age", "BiggerThan", "20")]}],
        "isArchived": False,
    }
    return {**segment, **changed}


def write_export(folder: Path, flags: object, segments: object) -> tuple[Path, Path]:
    paths = folder / "flags.json", folder / "segments.json"
    for path, document in zip(paths, (flags, segments), strict=True):
        path.write_text(json.dumps(document), encoding="utf-8")
    return paths
