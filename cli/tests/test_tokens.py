from __future__ import annotations

from datetime import UTC, datetime

from featmesh.management.v1 import access_token_service_pb2 as pb
from featmesh.management.v1.resource_pb2 import ACTOR_KIND_TOKEN, Actor

from .fake_api import ENVIRONMENT, Api


def test_a_token_is_created_with_its_grants_and_its_end(api: Api) -> None:
    answer = pb.CreateAccessTokenResponse(secret="fmt_secret")
    answer.access_token.name = "organizations/acme/tokens/t1"
    api.answers["CreateAccessToken"] = answer
    result = api.run(
        *("tokens", "create", "Pipeline", "--organization", "acme", "--kind", "service"),
        *("--grant", f"operator@{ENVIRONMENT}", "--grant", "viewer", "--expires", "2027-01-31"),
    )
    assert result.stdout == "fmt_secret\n"
    request = api.only("CreateAccessToken")
    assert request.parent == "organizations/acme"
    token = request.access_token
    assert (token.display_name, token.kind) == ("Pipeline", pb.ACCESS_TOKEN_KIND_SERVICE)
    assert token.expires_at.ToDatetime(UTC) == datetime(2027, 1, 31, tzinfo=UTC)
    assert list(token.grants) == [
        pb.Grant(role=pb.ROLE_OPERATOR, resource=ENVIRONMENT),
        pb.Grant(role=pb.ROLE_VIEWER),
    ]


def test_an_unknown_role_is_refused_with_those_there_are(api: Api) -> None:
    refusal = api.refused("tokens", "create", "x", "--grant", "king", code=2)
    assert "'king' is no role; there are owner, admin, editor" in refusal


def test_a_token_of_the_installation_is_rotated_and_revoked_by_its_id(api: Api) -> None:
    rotated = pb.RotateAccessTokenResponse(secret="fmt_new")
    rotated.access_token.name = "tokens/t1"
    api.answers["RotateAccessToken"] = rotated
    revoked = pb.RevokeAccessTokenResponse()
    revoked.access_token.display_name, revoked.access_token.last_characters = "Ada", "new1"
    api.answers["RevokeAccessToken"] = revoked
    assert api.printed("tokens", "rotate", "t1") == "fmt_new\n"
    assert not api.only("RotateAccessToken").HasField("expires_at")
    assert api.printed("tokens", "revoke", "tokens/t1") == "Ada (…new1) is revoked.\n"
    for method in ("RotateAccessToken", "RevokeAccessToken"):
        assert api.only(method).name == "tokens/t1"


def test_tokens_are_listed_with_what_they_may_do(api: Api) -> None:
    token = pb.AccessToken(name="tokens/t1", display_name="Ada", kind=pb.ACCESS_TOKEN_KIND_PERSONAL)
    token.grants.add(role=pb.ROLE_EDITOR, resource="organizations/acme")
    api.answers["ListAccessTokens"] = pb.ListAccessTokensResponse(access_tokens=[token])
    row = api.printed("tokens", "list").splitlines()[1]
    assert row.split() == ["tokens/t1", "personal", "editor@organizations/acme", "Ada"]


def test_a_caller_is_told_who_it_is_and_what_it_may_do(api: Api) -> None:
    api.answers["GetCaller"] = pb.GetCallerResponse(
        caller=Actor(kind=ACTOR_KIND_TOKEN, id="t1", display_name="Ada"),
        grants=[pb.Grant(role=pb.ROLE_OWNER), pb.Grant(role=pb.ROLE_VIEWER, resource=ENVIRONMENT)],
    )
    lines = [line.split() for line in api.printed("whoami").splitlines()[1:]]
    assert lines == [
        ["name", "Ada"],
        ["kind", "token"],
        ["id", "t1"],
        ["expires"],
        ["may", "act", "as", "owner"],
        ["may", "act", "as", f"viewer@{ENVIRONMENT}"],
    ]
    assert '"display_name": "Ada"' in api.printed("whoami", "--json")
