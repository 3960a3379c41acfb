"""One flag, by itself; what it says of other items is in `services.api.changes.references`."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from featmesh.engine.model import FULL_WEIGHT
from featmesh.flag.v1 import flag_pb2, rollout_pb2
from featmesh.management.v1 import flag_service_pb2
from services.api.rpc import limits
from services.api.rpc.validation.conditions import check_conditions, check_context_keys
from services.api.rpc.validation.faults import Faults, quoted
from services.api.rpc.validation.labels import check_label
from services.api.rpc.validation.values import KINDS, check_value


def check_flag_resource(faults: Faults, path: str, resource: flag_service_pb2.FlagResource) -> None:
    """A flag with its name, description and tags; ``path`` is where it stands."""
    check_label(faults, path, resource)
    if not resource.HasField("flag"):
        faults.add(f"{path}.flag", "is required")
        return
    _check_flag(faults, f"{path}.flag", resource.flag)


def _check_flag(faults: Faults, path: str, flag: flag_pb2.Flag) -> None:
    size = flag.ByteSize()
    if size > limits.ITEM_BYTES:
        faults.add(path, f"has {size} bytes; the limit is {limits.ITEM_BYTES}")
        return
    faults.key(f"{path}.key", flag.key)
    faults.line(f"{path}.salt", flag.salt, limits.SALT_BYTES)
    _check_variations(faults, path, flag)
    variations = _Variations(faults, {variation.id for variation in flag.variations})
    variations.known(f"{path}.off_variation_id", flag.off_variation_id)
    _check_prerequisites(faults, f"{path}.prerequisites", flag)
    _check_targets(variations, f"{path}.targets", flag.targets)
    _check_rules(variations, f"{path}.rules", flag.rules)
    if flag.HasField("fallthrough"):
        _check_rollout(variations, f"{path}.fallthrough", flag.fallthrough)
    else:
        faults.add(f"{path}.fallthrough", "is required")


class _Variations:
    """The flag's own variation ids, for checking what names one."""

    def __init__(self, faults: Faults, ids: Collection[str]) -> None:
        self.faults = faults
        self._ids = ids

    def known(self, path: str, variation_id: str) -> None:
        if not variation_id:
            self.faults.add(path, "is required")
        elif variation_id not in self._ids:
            self.faults.add(path, f"names {quoted(variation_id)}, no variation of this flag")


def _check_variations(faults: Faults, path: str, flag: flag_pb2.Flag) -> None:
    if flag.value_type not in KINDS:
        known = "is required" if not flag.value_type else f"is {flag.value_type}, which is unknown"
        faults.add(f"{path}.value_type", known)
    path = f"{path}.variations"
    faults.count(path, len(flag.variations), limits.VARIATIONS, low=1)
    for index, variation in enumerate(flag.variations):
        place = f"{path}[{index}]"
        faults.line(f"{place}.id", variation.id, limits.ID_BYTES, low=1)
        faults.line(f"{place}.name", variation.name, limits.NAME_BYTES)
        check_value(faults, f"{place}.value", variation.value, flag.value_type)
    faults.unique((f"{path}[{i}].id", each.id) for i, each in enumerate(flag.variations))


def _check_prerequisites(faults: Faults, path: str, flag: flag_pb2.Flag) -> None:
    faults.count(path, len(flag.prerequisites), limits.PREREQUISITES)
    for index, prerequisite in enumerate(flag.prerequisites):
        place = f"{path}[{index}]"
        faults.key(f"{place}.flag_key", prerequisite.flag_key)
        faults.line(f"{place}.variation_id", prerequisite.variation_id, limits.ID_BYTES, low=1)
        if prerequisite.flag_key == flag.key:
            faults.add(f"{place}.flag_key", "names the flag itself")


def _check_targets(variations: _Variations, path: str, targets: Sequence[flag_pb2.Target]) -> None:
    faults = variations.faults
    faults.count(path, len(targets), limits.TARGETS)
    total = sum(len(target.keys) for target in targets)
    if total > limits.CONTEXT_KEYS:
        faults.add(path, f"have {total} keys together; the limit is {limits.CONTEXT_KEYS}")
        return
    for index, target in enumerate(targets):
        variations.known(f"{path}[{index}].variation_id", target.variation_id)
        check_context_keys(faults, f"{path}[{index}].keys", target.keys, distinct=True)


def _check_rules(variations: _Variations, path: str, rules: Sequence[flag_pb2.Rule]) -> None:
    faults = variations.faults
    faults.count(path, len(rules), limits.RULES)
    for index, rule in enumerate(rules):
        place = f"{path}[{index}]"
        faults.line(f"{place}.id", rule.id, limits.ID_BYTES)
        faults.line(f"{place}.name", rule.name, limits.NAME_BYTES)
        check_conditions(faults, f"{place}.conditions", rule.conditions)
        if rule.HasField("rollout"):
            _check_rollout(variations, f"{place}.rollout", rule.rollout)
        else:
            faults.add(f"{place}.rollout", "is required")
    faults.unique((f"{path}[{index}].id", rule.id) for index, rule in enumerate(rules))


def _check_rollout(variations: _Variations, path: str, rollout: rollout_pb2.Rollout) -> None:
    faults = variations.faults
    faults.line(f"{path}.dispatch_attribute", rollout.dispatch_attribute, limits.ATTRIBUTE_BYTES)
    shares = rollout.shares
    faults.count(f"{path}.shares", len(shares), limits.SHARES, low=1)
    for index, share in enumerate(shares):
        place = f"{path}.shares[{index}]"
        variations.known(f"{place}.variation_id", share.variation_id)
        faults.range(f"{place}.weight", share.weight, FULL_WEIGHT)
        faults.range(f"{place}.experiment_share", share.experiment_share, FULL_WEIGHT)
    total = sum(share.weight for share in shares)
    if shares and total != FULL_WEIGHT:
        faults.add(
            f"{path}.shares", f"have weights that add up to {total}; it must be {FULL_WEIGHT}"
        )
