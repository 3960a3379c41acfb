from __future__ import annotations

import pytest

from services.access.principal import Grant, Principal
from services.access.roles import Role, has_permission
from services.storage.model.actor import Actor, ActorKind
from services.storage.model.resource import INSTALLATION_ID, Ancestry, Scope

ACME = Ancestry(Scope.ORGANIZATION, "acme", path="organizations/acme")
SHOP = Ancestry(Scope.PROJECT, "acme", "shop", path="organizations/acme/projects/shop")
LIVE = Ancestry(Scope.ENVIRONMENT, "acme", "shop", "live")
TEST = Ancestry(Scope.ENVIRONMENT, "acme", "shop", "test")
OTHER = Ancestry(Scope.ENVIRONMENT, "other", "shop2", "live2")
INSTALLATION = Ancestry(Scope.INSTALLATION)


def principal(role: Role, level: Scope, scope_id: str) -> Principal:
    actor = Actor(ActorKind.TOKEN, "1", "tester")
    return Principal(actor, (Grant(role, level, scope_id),))


@pytest.mark.parametrize(
    ("permission", "roles"),
    [
        ("flags.get", "OWNER ADMIN EDITOR OPERATOR REVIEWER VIEWER"),
        ("flags.evaluate", "OWNER ADMIN EDITOR OPERATOR REVIEWER VIEWER"),
        ("audit.list", "OWNER ADMIN EDITOR OPERATOR REVIEWER VIEWER"),
        ("flags.toggle", "OWNER ADMIN EDITOR OPERATOR"),
        ("flags.rollback", "OWNER ADMIN EDITOR OPERATOR"),
        ("flags.update", "OWNER ADMIN EDITOR"),
        ("segments.delete", "OWNER ADMIN EDITOR"),
        ("endUsers.import", "OWNER ADMIN EDITOR"),
        ("endUsers.export", "OWNER ADMIN EDITOR"),
        ("changeRequests.review", "OWNER ADMIN REVIEWER"),
        ("environments.create", "OWNER ADMIN"),
        ("sdkKeys.create", "OWNER ADMIN"),
        ("tokens.create", "OWNER ADMIN"),
        ("deadLetters.drop", "OWNER ADMIN"),
        ("owners.add", "OWNER"),
        ("identityProviders.update", "OWNER"),
    ],
)
def test_who_has_which_permission(permission: str, roles: str) -> None:
    assert {role for role in Role if has_permission(role, permission)} == set(roles.split())


def test_a_role_holds_in_its_scope_and_below_it_alone() -> None:
    admin = principal(Role.ADMIN, Scope.PROJECT, "shop")
    places = [INSTALLATION, ACME, SHOP, LIVE, TEST, OTHER]
    assert [admin.may("flags.update", place) for place in places] == [
        *(False, False),
        *(True, True, True),
        False,
    ]
    one = principal(Role.ADMIN, Scope.ENVIRONMENT, "live")
    assert [place for place in places if one.may("flags.update", place)] == [LIVE]
    everywhere = principal(Role.ADMIN, Scope.INSTALLATION, INSTALLATION_ID)
    assert all(everywhere.may("flags.update", place) for place in places)


def test_nobody_grants_what_they_do_not_hold() -> None:
    admin = principal(Role.ADMIN, Scope.ORGANIZATION, "acme")
    assert {role for role in Role if admin.may_grant(role, SHOP)} == set(Role) - {Role.OWNER}
    assert not any(admin.may_grant(role, OTHER) for role in Role)
    assert not any(admin.may_grant(role, INSTALLATION) for role in Role)
    owner = principal(Role.OWNER, Scope.ORGANIZATION, "acme")
    assert all(owner.may_grant(role, ACME) for role in Role)
    editor = principal(Role.EDITOR, Scope.ORGANIZATION, "acme")
    assert not any(editor.may_grant(role, SHOP) for role in Role)
