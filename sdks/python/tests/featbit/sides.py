"""The two sides that are compared, fed with the same JSON: FeatBit's own SDK and ours."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

from fbclient.client import FBClient
from fbclient.common_types import FBUser, _EvalResult
from fbclient.config import Config
from fbclient.evaluator import Evaluator

from featmesh.engine import Context, Result, Snapshot, evaluate
from featmesh.wire import flag_from_proto, segment_from_proto
from featmesh_cli.featbit import read_export

Json = dict[str, Any]
"""A flag, segment, rule, rollout or condition as FeatBit writes it."""

NOW_MS = 1_800_000_000_000
NO_VARIATION = ""


class FeatMesh:
    """Our engine over what our importer makes of an export."""

    def __init__(self, flags: Sequence[Json], segments: Sequence[Json], folder: Path) -> None:
        files = folder / "flags.json", folder / "segments.json"
        for path, items in zip(files, (flags, segments), strict=True):
            path.write_text(json.dumps(items), encoding="utf-8")
        export = read_export(*files)
        assert not export.faults, export.faults
        self.flags = tuple(flag_from_proto(each.flag) for each in export.flags)
        self.segments = tuple(segment_from_proto(each.segment) for each in export.segments)
        self.snapshot = Snapshot.build(1, self.flags, self.segments)

    def result(self, flag_key: str, user: Context) -> Result:
        """The whole answer."""
        return evaluate(self.snapshot, flag_key, user, NOW_MS)


class FeatBit:
    """FeatBit's SDK in offline mode; its client, and its evaluator to ask for single parts."""

    def __init__(self, flags: Sequence[Json], segments: Sequence[Json]) -> None:
        self.client = FBClient(
            Config("secret", "http://localhost", "ws://localhost", offline=True), start_wait=0
        )
        data = {"eventType": "full", "featureFlags": flags, "segments": segments}
        text = json.dumps({"messageType": "data-sync", "data": data})
        assert self.client.initialize_from_external_json(text)
        self.flags = {each["key"]: _prepared(each) for each in flags}
        self.segments = {each["id"]: each for each in segments if not each["isArchived"]}
        self.evaluator = Evaluator(self.flags.get, self.segments.get)

    def variation_id(self, flag_key: str, user: Context) -> str:
        """What its client serves; empty for an error, with or without a default."""
        try:
            detail = self.client.variation_detail(flag_key, featbit_user(user), None)
        except AttributeError:  # its client does not expect that no share is served
            return NO_VARIATION
        return detail.variation_id or NO_VARIATION

    def holds(self, condition: Json, user: Context) -> bool | None:
        """Whether one condition holds; None for a pattern that Python cannot compile."""
        try:
            return bool(self.evaluator._process_condition(_person(user), condition))
        except re.error:
            return None

    def rollout(self, flag_key: str, rollout: Json, user: Context) -> str:
        """The variation that one rollout serves; empty for none."""
        return _id(
            self.evaluator._get_rollout_variation_option(
                self.flags[flag_key], rollout, _person(user), "", flag_key, ""
            )
        )

    def variation_id_given(
        self,
        flag_key: str,
        user: Context,
        *,
        conditions: Mapping[int, bool],
        rollouts: Mapping[int, str],
    ) -> str:
        """What its evaluator serves when some parts, by their object's id, answer as given."""
        substituted = _Substituted(self, conditions, rollouts)
        return _id(substituted.evaluate(self.flags[flag_key], _person(user)))


class _Substituted(Evaluator):  # type: ignore[misc]  # FeatBit's SDK carries no types
    def __init__(
        self, side: FeatBit, conditions: Mapping[int, bool], rollouts: Mapping[int, str]
    ) -> None:
        super().__init__(side.flags.get, side.segments.get)
        self._conditions, self._rollouts = conditions, rollouts

    def _process_condition(self, user: FBUser, condition: Json) -> bool:
        given = self._conditions.get(id(condition))
        return bool(super()._process_condition(user, condition)) if given is None else given

    def _get_rollout_variation_option(
        self, flag: Json, rollout_variations: Json, user: FBUser, *rest: str
    ) -> _EvalResult | None:
        given = self._rollouts.get(id(rollout_variations))
        if given is None:
            return super()._get_rollout_variation_option(flag, rollout_variations, user, *rest)
        return _EvalResult(given, "", "")


def featbit_user(user: Context) -> Json:
    """The context as FeatBit's SDK takes a user."""
    return {**user.attributes, "key": user.key, "name": user.name}


def _person(user: Context) -> FBUser:
    return FBUser.from_dict(featbit_user(user))


def _id(result: _EvalResult | None) -> str:
    return NO_VARIATION if result is None else str(result.id)


def _prepared(flag: Json) -> Json:
    """As FeatBit's SDK prepares a flag it receives."""
    values = {each["id"]: each["value"] for each in flag["variations"]}
    return deepcopy(flag) | {"variationMap": values}
