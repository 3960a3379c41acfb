"""One codec for each kind of resource, and the envelope that all of them have.

Reading is tolerant: a field that an older version did not write has the model's default.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Final, Generic

from services.storage.model import kinds
from services.storage.model.actor import Actor, ActorKind
from services.storage.model.credentials import (
    AccessToken,
    AccessTokenKind,
    RoleGrant,
    SdkKey,
    SdkKeyKind,
)
from services.storage.model.items import FlagRecord, SegmentRecord
from services.storage.model.resource import (
    INSTALLATION_ID,
    AnyKind,
    Kind,
    Meta,
    R,
    Scope,
    Stored,
)
from services.storage.model.tags import Tag
from services.storage.model.tenancy import (
    DEFAULT_RETENTION_DAYS,
    Environment,
    Organization,
    Project,
)
from services.storage.mongodb.driver.client import Document, whole_milliseconds
from services.storage.mongodb.events.retention import RETENTION_FIELD
from services.storage.mongodb.resources.documents import (
    display_name_of,
    flag_document,
    flag_record,
    segment_document,
    segment_record,
)

COUNTS: Final = "counts"
"""Field of a basic list's rows: how long the lists are that were left out."""


@dataclass(frozen=True)
class Codec(Generic[R]):
    """Turns content into fields of a document and back.

    ``basic`` are the fields that a basic list reads, ``counts`` the long lists that it
    leaves out, each with the expression of its length; without these all is read.
    ``hidden`` are fields that no audit entry shows: hashes of secrets, and what is the store's own.
    """

    fields: Callable[[R], Document]
    content: Callable[[Document], R]
    basic: tuple[str, ...] = ()
    counts: Mapping[str, Any] = field(default_factory=dict)
    hidden: frozenset[str] = frozenset()


def codec_of(kind: Kind[R]) -> Codec[R]:
    """The codec of a kind."""
    return _CODECS[kind.name]


def stored_of(kind: Kind[R], document: Document) -> Stored[R]:
    """The resource that a document, or a row of a basic list, holds."""
    counts = document.get(COUNTS)
    return Stored(
        kind, _meta_of(kind, document), codec_of(kind).content(document), counts or {}, bool(counts)
    )


def document_of(stored: Stored[R]) -> Document:
    """The document of a resource as it was read."""
    meta = stored.meta
    return {
        **identity(stored.kind, meta.scope_id, meta.id),
        **codec_of(stored.kind).fields(stored.content),
        "version": meta.version,
        **({"revision": meta.revision} if stored.kind.synced else {}),
        "created_at": meta.created_at,
        "created_by": actor_document(meta.created_by),
        "updated_at": meta.updated_at,
        "updated_by": actor_document(meta.updated_by),
    }


def identity(kind: AnyKind, scope_id: str, resource_id: str) -> Document:
    """What never changes of a document."""
    return {"_id": resource_id, **scope_filter(kind, scope_id)}


def scope_filter(kind: AnyKind, scope_id: str) -> Document:
    """All resources of a scope, without what is deleted."""
    of_scope = {scope_field(kind): scope_id} if scope_field(kind) else {}
    return {**of_scope, **({"deleted": False} if kind.synced else {})}


def key_query(kind: AnyKind, scope_id: str, keys: Collection[str]) -> Document:
    """Resources by their keys; by their ids where they have none."""
    field = "key" if kind.key_of else "_id"
    return {**scope_filter(kind, scope_id), field: {"$in": list(keys)}}


def scope_field(kind: AnyKind) -> str:
    """The field that holds the scope's id; empty for the installation's kinds."""
    usual = kind.scopes[0]
    return "" if usual is Scope.INSTALLATION else usual.value.lower()


def actor_document(actor: Actor) -> Document:
    """An actor as stored."""
    return {"kind": actor.kind.value, "id": actor.id, "display_name": actor.display_name}


def actor_of(value: Any) -> Actor:
    """Until version 5 of the schema an actor was the name of a token."""
    if isinstance(value, dict):
        return Actor(ActorKind(value["kind"]), value["id"], value["display_name"])
    return Actor(ActorKind.TOKEN, "", value or "")


def _meta_of(kind: AnyKind, document: Document) -> Meta:
    created: datetime = document.get("created_at", _UNKNOWN)
    return Meta(
        id=document["_id"],
        scope_id=document.get(scope_field(kind)) or INSTALLATION_ID,
        version=document.get("version", 1),
        revision=document.get("revision", 0),
        created_at=created,
        created_by=actor_of(document.get("created_by")),
        updated_at=document.get("updated_at") or created,
        updated_by=actor_of(document.get("updated_by")),
    )


_UNKNOWN: Final = whole_milliseconds(datetime.fromisoformat("1970-01-01T00:00:00+00:00"))


def _named_fields(content: Organization | Project) -> Document:
    return {"key": content.key, "display_name": content.display_name}


def _environment_fields(environment: Environment) -> Document:
    return {
        "key": environment.key,
        "display_name": environment.display_name,
        RETENTION_FIELD: environment.retention_days,
    }


def _environment_of(document: Document) -> Environment:
    return Environment(
        document["key"],
        display_name_of(document),
        document.get(RETENTION_FIELD, DEFAULT_RETENTION_DAYS),
    )


def _sdk_key_fields(key: SdkKey) -> Document:
    return {
        "display_name": key.display_name,
        "kind": key.kind.value,
        "hash": key.secret_hash,
        "last_characters": key.last_characters,
        "revoked_at": _time(key.revoked_at),
    }


def _sdk_key_of(document: Document) -> SdkKey:
    return SdkKey(
        display_name=display_name_of(document),
        kind=SdkKeyKind(document["kind"]),
        secret_hash=document["hash"],
        last_characters=document["last_characters"],
        revoked_at=document.get("revoked_at"),
    )


def _token_fields(token: AccessToken) -> Document:
    return {
        "display_name": token.display_name,
        "kind": token.kind.value,
        "hash": token.secret_hash,
        "last_characters": token.last_characters,
        "owner": token.owner,
        "grants": [
            {"role": one.role, "level": one.level.value, "scope": one.scope_id}
            for one in token.grants
        ],
        "expires_at": _time(token.expires_at),
        "revoked_at": _time(token.revoked_at),
    }


def _token_of(document: Document) -> AccessToken:
    return AccessToken(
        display_name=display_name_of(document),
        kind=AccessTokenKind(document.get("kind", AccessTokenKind.SERVICE)),
        secret_hash=document["hash"],
        last_characters=document.get("last_characters", ""),
        owner=document.get("owner", ""),
        grants=tuple(
            RoleGrant(one["role"], Scope(one["level"]), one["scope"])
            for one in document.get("grants", ())
        ),
        expires_at=document.get("expires_at"),
        revoked_at=document.get("revoked_at"),
        last_used_at=document.get("last_used_at"),
    )


def _time(time: datetime | None) -> datetime | None:
    return whole_milliseconds(time) if time else None


def _size(path: str) -> Document:
    return {"$size": {"$ifNull": [f"${path}", []]}}


_BASIC: Final = ("key", "display_name", "description", "tags", "archived")

_TARGET_SIZES: Final = {
    "$map": {"input": {"$ifNull": ["$targets", []]}, "in": {"$size": "$$this.keys"}}
}

_CODECS: Final[dict[str, Codec[Any]]] = {
    kinds.ORGANIZATION.name: Codec[Organization](
        _named_fields, lambda document: Organization(document["key"], display_name_of(document))
    ),
    kinds.PROJECT.name: Codec[Project](
        _named_fields, lambda document: Project(document["key"], display_name_of(document))
    ),
    kinds.ENVIRONMENT.name: Codec[Environment](
        _environment_fields, _environment_of, hidden=frozenset({"epoch", "first_revision"})
    ),
    kinds.SDK_KEY.name: Codec[SdkKey](_sdk_key_fields, _sdk_key_of, hidden=frozenset({"hash"})),
    kinds.ACCESS_TOKEN.name: Codec[AccessToken](
        _token_fields, _token_of, hidden=frozenset({"hash"})
    ),
    kinds.TAG.name: Codec[Tag](
        asdict,
        lambda each: Tag(each["key"], each["display_name"], each["description"], each["color"]),
    ),
    kinds.FLAG.name: Codec[FlagRecord](
        flag_document,
        flag_record,
        basic=(
            *_BASIC,
            "value_type",
            "variations",
            "salt",
            "enabled",
            "off_variation_id",
            "prerequisites",
            "fallthrough",
            "include_all_targets",
        ),
        counts={
            "variations": _size("variations"),
            "targeted_keys": {"$sum": _TARGET_SIZES},
            "rules": _size("rules"),
            "prerequisites": _size("prerequisites"),
        },
    ),
    kinds.SEGMENT.name: Codec[SegmentRecord](
        segment_document,
        segment_record,
        basic=(*_BASIC, "id"),
        counts={name: _size(name) for name in ("included", "excluded", "rules")},
    ),
}
