"""The services that `api` offers, and the sizes of their requests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from google.protobuf.descriptor import ServiceDescriptor
from grpc import aio

from services.api.changes.commit import Changes
from services.api.changes.hooks import CommitHooks
from services.api.changes.imports import ImportChanges
from services.api.changes.versions import VersionChanges
from services.api.read import audit, dead_letters, end_users, propagation, reports
from services.api.read.served import Snapshots
from services.api.read.stale import StaleFlags
from services.api.resources import imports
from services.api.resources.access_tokens import ACCESS_TOKENS, AccessTokenMethods
from services.api.resources.environments import ENVIRONMENTS, EnvironmentMethods
from services.api.resources.flags import FLAGS, FlagMethods
from services.api.resources.organizations import ORGANIZATIONS
from services.api.resources.projects import PROJECTS
from services.api.resources.sdk_keys import SDK_KEYS, SdkKeyMethods
from services.api.resources.segments import SEGMENTS, segment_methods
from services.api.resources.standard import Deps, ResourceType, Standard
from services.api.resources.tags import TAGS
from services.api.rpc.dispatch import Dispatcher, Methods
from services.api.rpc.methods import NO_CHECKS, Checks, methods_of
from services.api.rpc.scopes import Names
from services.messaging.ports import DeadLetters
from services.storage.ports.store import Store

PLAIN: Final[tuple[ResourceType[Any], ...]] = (ORGANIZATIONS, PROJECTS, TAGS)
"""Types of resources that need nothing but the standard methods."""

SERVICE_DESCRIPTORS: Final[tuple[ServiceDescriptor, ...]] = (
    *(each.service for each in PLAIN),
    ENVIRONMENTS.service,
    SDK_KEYS.service,
    ACCESS_TOKENS.service,
    FLAGS.service,
    SEGMENTS.service,
    imports.SERVICE,
    end_users.SERVICE,
    reports.SERVICE,
    audit.SERVICE,
    dead_letters.SERVICE,
    propagation.SERVICE,
)
"""All services of `api`."""

SERVICES: Final = tuple(service.full_name for service in SERVICE_DESCRIPTORS)
"""Full names of all services."""

REQUEST_LIMITS: Final[Mapping[str, int]] = {
    method.path: method.request_bytes
    for service in SERVICE_DESCRIPTORS
    for method in methods_of(service).values()
}
"""Largest request of each method, in bytes."""


_CHECKS: Final[Mapping[str, Checks]] = {
    FLAGS.service.full_name: FLAGS.checks(),
    SEGMENTS.service.full_name: SEGMENTS.checks(),
    imports.SERVICE.full_name: imports.CHECKS,
}


def registration(
    store: Store, dead_letter_store: DeadLetters, hooks: CommitHooks, dispatcher: Dispatcher
) -> Callable[[aio.Server], None]:
    """Returns what adds every service to a server."""

    def register(server: aio.Server) -> None:
        code = _code(store, dead_letter_store, hooks)
        handlers = [
            dispatcher.handler(each, code[each.full_name], _CHECKS.get(each.full_name, NO_CHECKS))
            for each in SERVICE_DESCRIPTORS
        ]
        server.add_generic_rpc_handlers(tuple(handlers))

    return register


def _code(
    store: Store, dead_letter_store: DeadLetters, hooks: CommitHooks
) -> Mapping[str, Methods]:
    resources = store.resources
    changes = Changes(resources, store.definitions, hooks)
    deps = Deps(resources, changes, VersionChanges(resources, changes), Names(resources))
    return {
        **{each.service.full_name: Standard(each, deps).methods() for each in PLAIN},
        ENVIRONMENTS.service.full_name: EnvironmentMethods(deps, hooks).methods(),
        SDK_KEYS.service.full_name: SdkKeyMethods(deps, hooks).methods(),
        ACCESS_TOKENS.service.full_name: AccessTokenMethods(deps).methods(),
        FLAGS.service.full_name: FlagMethods(deps).methods(),
        SEGMENTS.service.full_name: segment_methods(deps).methods(),
        imports.SERVICE.full_name: imports.ImportMethods(
            ImportChanges(resources, changes)
        ).methods(),
        end_users.SERVICE.full_name: end_users.EndUserMethods(
            store.end_users, Snapshots(store.definitions)
        ).methods(),
        reports.SERVICE.full_name: reports.ReportMethods(
            store.reports, StaleFlags(resources, store.reports)
        ).methods(),
        audit.SERVICE.full_name: audit.AuditMethods(resources).methods(),
        dead_letters.SERVICE.full_name: dead_letters.DeadLetterMethods(dead_letter_store).methods(),
        propagation.SERVICE.full_name: propagation.PropagationMethods(
            resources, store.progress
        ).methods(),
    }
