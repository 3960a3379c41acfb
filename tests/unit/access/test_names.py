from __future__ import annotations

import pytest

from services.access.names import ResourceName, parse_name
from services.runtime.errors import InvalidArgument

ENVIRONMENT = "organizations/acme/projects/shop/environments/production"


@pytest.mark.parametrize(
    ("kind", "name", "parsed"),
    [
        ("installation", "", ResourceName()),
        ("organization", "organizations/acme", ResourceName("acme")),
        ("environment", ENVIRONMENT, ResourceName("acme", "shop", "production")),
        ("flag", f"{ENVIRONMENT}/flags/x", ResourceName("acme", "shop", "production", "x")),
        ("sdk_key", f"{ENVIRONMENT}/sdkKeys/7", ResourceName("acme", "shop", "production", "7")),
        ("access_token", "organizations/acme/tokens/7", ResourceName("acme", key="7")),
        ("access_token", "tokens/7", ResourceName(key="7")),
    ],
)
def test_a_name_is_read_part_by_part(kind: str, name: str, parsed: ResourceName) -> None:
    assert parse_name("name", name, [kind]) == parsed


@pytest.mark.parametrize(
    "name",
    [
        "",
        "acme",
        "organizations",
        "organizations/",
        "organizations/acme/",
        "/organizations/acme",
        "organizations/acme/projects/shop",
        "organisations/acme",
        "organizations/a b",
        "organizations/acme\n",
        f"organizations/{'a' * 129}",
        f"{ENVIRONMENT}/flags/x",
    ],
)
def test_what_is_no_such_name_is_refused_with_what_one_looks_like(name: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        parse_name("parent", name, ["organization"])
    assert refused.value.violations[0].field == "parent"
    assert "organizations/<key>" in refused.value.message


def test_one_of_several_kinds_is_enough() -> None:
    kinds = ["installation", "organization"]
    assert parse_name("parent", "", kinds) == ResourceName()
    assert parse_name("parent", "organizations/acme", kinds) == ResourceName("acme")
    with pytest.raises(InvalidArgument, match="empty or organizations/<key>"):
        parse_name("parent", "projects/shop", kinds)
