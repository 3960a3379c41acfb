"""All kinds of resources."""

from __future__ import annotations

from typing import Final

from services.storage.model.credentials import AccessToken, SdkKey
from services.storage.model.items import FlagRecord, SegmentRecord
from services.storage.model.resource import AnyKind, Kind, Scope
from services.storage.model.tags import Tag
from services.storage.model.tenancy import Environment, Organization, Project

ORGANIZATION: Final = Kind[Organization](
    name="organization",
    collection="organizations",
    plural="organizations",
    scopes=(Scope.INSTALLATION,),
    key_of=lambda organization: organization.key,
    opens=Scope.ORGANIZATION,
    filters={"key": str, "display_name": str},
)

PROJECT: Final = Kind[Project](
    name="project",
    collection="projects",
    plural="projects",
    scopes=(Scope.ORGANIZATION,),
    key_of=lambda project: project.key,
    opens=Scope.PROJECT,
    filters={"key": str, "display_name": str},
)

ENVIRONMENT: Final = Kind[Environment](
    name="environment",
    collection="environments",
    plural="environments",
    scopes=(Scope.PROJECT,),
    key_of=lambda environment: environment.key,
    opens=Scope.ENVIRONMENT,
    filters={"key": str, "display_name": str},
)

SDK_KEY: Final = Kind[SdkKey](
    name="sdk_key",
    collection="sdk_keys",
    plural="sdkKeys",
    scopes=(Scope.ENVIRONMENT,),
    filters={"display_name": str, "kind": str},
)

ACCESS_TOKEN: Final = Kind[AccessToken](
    name="access_token",
    collection="access_tokens",
    plural="tokens",
    scopes=(Scope.ORGANIZATION, Scope.INSTALLATION),
    filters={"display_name": str, "kind": str, "owner": str},
)

FLAG: Final = Kind[FlagRecord](
    name="flag",
    collection="flags",
    plural="flags",
    scopes=(Scope.ENVIRONMENT,),
    key_of=lambda flag: flag.key,
    local_id=lambda flag: flag.key,
    synced=True,
    archivable=True,
    filters={
        "key": str,
        "display_name": str,
        "description": str,
        "value_type": str,
        "enabled": bool,
        "archived": bool,
        "tags": str,
    },
)

SEGMENT: Final = Kind[SegmentRecord](
    name="segment",
    collection="segments",
    plural="segments",
    scopes=(Scope.ENVIRONMENT,),
    key_of=lambda segment: segment.key,
    local_id=lambda segment: segment.definition.id,
    synced=True,
    archivable=True,
    filters={
        "key": str,
        "display_name": str,
        "description": str,
        "archived": bool,
        "tags": str,
    },
)

TAG: Final = Kind[Tag](
    name="tag",
    collection="tags",
    plural="tags",
    scopes=(Scope.PROJECT,),
    key_of=lambda tag: tag.key,
    filters={"key": str, "display_name": str, "description": str, "color": str},
)

KINDS: Final[dict[str, AnyKind]] = {
    kind.name: kind
    for kind in (ORGANIZATION, PROJECT, ENVIRONMENT, SDK_KEY, ACCESS_TOKEN, FLAG, SEGMENT, TAG)
}
"""By name, scopes before what lies in them."""
