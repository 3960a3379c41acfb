"""Decides whether a call is allowed, and says so in the caller's terms."""

from __future__ import annotations

from contextlib import suppress

from services.access.names import ANY, ResourceName
from services.access.principal import Principal
from services.access.roles import has_permission
from services.runtime.errors import NotFound, PermissionDenied
from services.storage.model.resource import INSTALLATION_ID, Ancestry, Scope
from services.storage.ports.resources import Resources


def require_permission(principal: Principal, permission: str, place: Ancestry, name: str) -> None:
    """Returns if the principal has the permission at ``place``, which the caller named.

    Raises `NotFound`, as for a place that is not there, where the caller may see nothing of
    it; else `PermissionDenied` with the permission.
    """
    if principal.may(permission, place):
        return
    require_sight(principal, place, name)
    where = f"on {place.path}" if place.path else "on the installation"
    raise PermissionDenied(f"this needs the permission {permission} {where}", permission=permission)


def require_sight(principal: Principal, place: Ancestry, name: str) -> None:
    """Returns if the principal may know of ``place``, which it named; else raises `NotFound`.

    Everybody knows of the installation.
    """
    if place.level is not Scope.INSTALLATION and not principal.may(_view_of(place), place):
        raise not_found(name)


async def may_reach(
    resources: Resources, principal: Principal, permission: str, place: Ancestry
) -> bool:
    """Tells whether the principal has the permission at ``place`` or anywhere below it."""
    if principal.may(permission, place):
        return True
    for grant in principal.grants:
        if has_permission(grant.role, permission) and grant.scope_id != INSTALLATION_ID:
            with suppress(NotFound):  # of a scope that was deleted
                if _lies_in(await resources.ancestry(grant.scope_id), place):
                    return True
    return False


def not_found(name: str) -> NotFound:
    """Returns the error for a name of nothing, or of what the caller may not see."""
    return NotFound(f"'{name}' does not exist, or you may not see it")


async def place_of(resources: Resources, name: ResourceName, text: str) -> Ancestry:
    """Returns the scope that a name lies in, from the store; raises `NotFound` for ``text``."""
    if not name.organization:
        return Ancestry(Scope.INSTALLATION)
    try:
        if ANY in {name.organization, name.project}:
            return await _by_id(resources, name)
        return await resources.resolve(name.organization, name.project, name.environment)
    except NotFound:
        raise not_found(text) from None


async def _by_id(resources: Resources, name: ResourceName) -> Ancestry:
    scope_id = name.environment or name.project
    place = await resources.ancestry(scope_id)
    fits = place.level is (Scope.ENVIRONMENT if name.environment else Scope.PROJECT)
    if scope_id == ANY or not fits:
        raise NotFound(f"'{scope_id}' does not exist")
    return place


def _lies_in(inner: Ancestry, outer: Ancestry) -> bool:
    return f"{inner.path}/".startswith(f"{outer.path}/") if outer.path else True


def _view_of(place: Ancestry) -> str:
    return f"{place.level.value.lower()}s.get"
