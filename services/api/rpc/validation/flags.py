"""What the rules of fields cannot say of a flag; references are in `changes.references`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from featmesh.engine.model import FULL_WEIGHT
from featmesh.flag.v1 import flag_pb2, rollout_pb2
from featmesh.management.v1 import flag_service_pb2
from services.api.rpc.validation.conditions import check_conditions
from services.api.rpc.validation.values import check_value
from services.runtime.violations import Violations, quoted

TARGETED_KEYS: Final = 100_000
"""Most keys over all targets of a flag."""


def check_flag_resource(
    violations: Violations, path: str, resource: flag_service_pb2.FlagResource
) -> None:
    """Checks a flag with its tags; ``path`` is where it stands."""
    violations.unique((f"{path}.tags[{index}]", tag) for index, tag in enumerate(resource.tags))
    if resource.HasField("flag"):
        _check_flag(violations, f"{path}.flag", resource.flag)


def _check_flag(violations: Violations, path: str, flag: flag_pb2.Flag) -> None:
    variations = _Variations(violations, {variation.id for variation in flag.variations})
    _check_variations(violations, f"{path}.variations", flag)
    variations.known(f"{path}.off_variation_id", flag.off_variation_id)
    for index, prerequisite in enumerate(flag.prerequisites):
        if prerequisite.flag_key == flag.key:
            violations.add(f"{path}.prerequisites[{index}].flag_key", "names the flag itself")
    _check_targets(variations, f"{path}.targets", flag.targets)
    _check_rules(variations, f"{path}.rules", flag.rules)
    _check_rollout(variations, f"{path}.fallthrough", flag.fallthrough)


class _Variations:
    """The flag's own variation ids, for checking what names one."""

    def __init__(self, violations: Violations, ids: Collection[str]) -> None:
        self.violations = violations
        self._ids = ids

    def known(self, path: str, variation_id: str) -> None:
        if variation_id and variation_id not in self._ids:
            self.violations.add(path, f"names {quoted(variation_id)}, no variation of this flag")


def _check_variations(violations: Violations, path: str, flag: flag_pb2.Flag) -> None:
    for index, variation in enumerate(flag.variations):
        check_value(violations, f"{path}[{index}].value", variation.value, flag.value_type)
    violations.unique((f"{path}[{i}].id", each.id) for i, each in enumerate(flag.variations))


def _check_targets(variations: _Variations, path: str, targets: Sequence[flag_pb2.Target]) -> None:
    violations = variations.violations
    total = sum(len(target.keys) for target in targets)
    if total > TARGETED_KEYS:
        violations.add(path, f"have {total} keys together; the limit is {TARGETED_KEYS}")
        return
    for index, target in enumerate(targets):
        variations.known(f"{path}[{index}].variation_id", target.variation_id)
        if len(set(target.keys)) < len(target.keys):
            keys = enumerate(target.keys)
            violations.unique((f"{path}[{index}].keys[{k}]", key) for k, key in keys)


def _check_rules(variations: _Variations, path: str, rules: Sequence[flag_pb2.Rule]) -> None:
    violations = variations.violations
    for index, rule in enumerate(rules):
        check_conditions(violations, f"{path}[{index}].conditions", rule.conditions)
        _check_rollout(variations, f"{path}[{index}].rollout", rule.rollout)
    violations.unique((f"{path}[{index}].id", rule.id) for index, rule in enumerate(rules))


def _check_rollout(variations: _Variations, path: str, rollout: rollout_pb2.Rollout) -> None:
    for index, share in enumerate(rollout.shares):
        variations.known(f"{path}.shares[{index}].variation_id", share.variation_id)
    total = sum(share.weight for share in rollout.shares)
    if rollout.shares and total != FULL_WEIGHT:
        variations.violations.add(
            f"{path}.shares", f"have weights that add up to {total}; it must be {FULL_WEIGHT}"
        )
