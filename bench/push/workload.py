"""Flags of a given size, and the frame that carries one."""

from __future__ import annotations

from featmesh.flag.v1 import condition_pb2, flag_pb2
from featmesh.management.v1 import flag_service_pb2
from featmesh.sync.v1 import sync_pb2
from tests.support.flags import boolean_flag, serve

_COUNTRY_BYTES = 12
_COUNTRY_FIELD = _COUNTRY_BYTES + 2  # with tag and length


def flag_of(key: str, size: int) -> flag_service_pb2.FlagResource:
    """A boolean flag of about ``size`` bytes: one rule with as many countries as that takes."""
    resource = boolean_flag(key, rules=[_rule(0)])
    missing = size - resource.flag.ByteSize()
    return boolean_flag(key, rules=[_rule(max(missing // _COUNTRY_FIELD, 0))])


def flags_of(count: int, size: int) -> list[flag_service_pb2.FlagResource]:
    """`flag-0`, `flag-1` and so on."""
    return [flag_of(f"flag-{number}", size) for number in range(count)]


def patch_frame(revision: int, size: int) -> bytes:
    """What our server sends for one changed flag, for the references to send."""
    flag = flag_of("flag-0", size).flag
    flag.revision, flag.version = revision, 2
    change = sync_pb2.DefinitionChangeSet(
        kind=sync_pb2.CHANGE_KIND_PATCH,
        revision=revision,
        last=True,
        resume=sync_pb2.ResumeToken(epoch=bytes(16), revision=revision, digest=bytes(32)),
        items=[sync_pb2.Item(flag=flag)],
    )
    return sync_pb2.SyncDefinitionsResponse(change_set=change).SerializeToString()


def _rule(countries: int) -> flag_pb2.Rule:
    condition = condition_pb2.Condition(
        attribute="country",
        operator=condition_pb2.OPERATOR_IN,
        values=[f"country-{number:04}" for number in range(countries + 1)],
    )
    return flag_pb2.Rule(name="by country", conditions=[condition], rollout=serve("off"))
