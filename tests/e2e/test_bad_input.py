"""What a wrong call is answered with: a status, its reason, and nothing of what is inside."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from featmesh.evaluation.v1 import evaluation_pb2
from featmesh.flag.v1 import value_pb2
from featmesh.insights.v1 import insights_pb2
from featmesh.management.v1 import (
    flag_service_pb2,
    flag_service_pb2_grpc,
    import_service_pb2,
    project_service_pb2,
    sdk_key_service_pb2,
    sdk_key_service_pb2_grpc,
)
from featmesh.sync.v1 import sync_pb2
from tests.support.flags import boolean_flag
from tests.support.mesh import Mesh, call
from tests.support.places import Place, make_place
from tests.support.waiting import PATIENCE

MIB: Final = 1024 * 1024

SYNC_DEFINITIONS: Final = "/featmesh.sync.v1.SyncService/SyncDefinitions"
SYNC_EVALUATIONS: Final = "/featmesh.sync.v1.SyncService/SyncEvaluations"
EVALUATE: Final = "/featmesh.evaluation.v1.EvaluationService/Evaluate"
TRACK: Final = "/featmesh.insights.v1.InsightsService/Track"
CREATE_FLAG: Final = "/featmesh.management.v1.FlagService/CreateFlag"
LIST_FLAGS: Final = "/featmesh.management.v1.FlagService/ListFlags"
IMPORT: Final = "/featmesh.management.v1.ImportService/ImportItems"
CREATE_PROJECT: Final = "/featmesh.management.v1.ProjectService/CreateProject"

STREAMS: Final = {SYNC_DEFINITIONS, SYNC_EVALUATIONS}
DATA_PLANE: Final = (SYNC_DEFINITIONS, SYNC_EVALUATIONS, EVALUATE, TRACK)

_INSIDES: Final = re.compile(
    r"traceback|\.py\b|mongo|motor|bson|aio_?pika|aiormq|amqp|rabbit|exception", re.IGNORECASE
)


@dataclass(frozen=True)
class Refusal:
    """A failed call as a client sees it."""

    code: grpc.StatusCode
    message: str
    status: status_pb2.Status | None

    def detail(self, message: Any) -> Any:
        """The detail of this kind, which must be there."""
        assert self.status is not None, self
        assert any(detail.Unpack(message) for detail in self.status.details), self
        return message

    @property
    def fields(self) -> dict[str, str]:
        """Field path → what is wrong."""
        request = self.detail(error_details_pb2.BadRequest())
        return {each.field: each.description for each in request.field_violations}


@dataclass(frozen=True)
class Door:
    """Both of the mesh's addresses, and raw calls to them: bytes, so that they may be wrong."""

    api: grpc.Channel
    evaluation: grpc.Channel
    place: Place
    revoked_key: str
    token: str

    def refuse(
        self, method: str, request: Any = b"", *, secret: str | None = None, by_us: bool = True
    ) -> Refusal:
        """The refusal of a call that must fail, checked for what every one must have."""
        channel = self.api if ".management." in method else self.evaluation
        kind: Any = channel.unary_stream if method in STREAMS else channel.unary_unary
        data = request if isinstance(request, bytes) else request.SerializeToString()
        metadata = (("authorization", f"Bearer {secret}"),) if secret is not None else ()
        with pytest.raises(grpc.RpcError) as caught:
            list(kind(method)(data, metadata=metadata, timeout=PATIENCE))
        error: Any = caught.value
        refusal = Refusal(error.code(), error.details() or "", _status(error))
        if by_us:
            _check_manners(refusal)
        return refusal


def _status(error: Any) -> status_pb2.Status | None:
    for name, value in error.trailing_metadata() or ():
        if name == "grpc-status-details-bin":
            return status_pb2.Status.FromString(value)
    return None


def _check_manners(refusal: Refusal) -> None:
    """A reason for programs, a plain text for people, and nothing of what is inside."""
    info = refusal.detail(error_details_pb2.ErrorInfo())
    assert info.domain == "featmesh"
    assert re.fullmatch(r"[A-Z][A-Z_]+", info.reason)
    assert refusal.status is not None
    assert (refusal.status.code, refusal.status.message) == (refusal.code.value[0], refusal.message)
    assert not _INSIDES.search(str(refusal.status)), refusal


@pytest.fixture(scope="module")
def door(mesh: Mesh) -> Iterator[Door]:
    options = [("grpc.max_send_message_length", -1)]
    with (
        grpc.insecure_channel(mesh.api, options) as api,
        grpc.insecure_channel(mesh.evaluation, options) as evaluation,
    ):
        place = make_place(mesh, api, "bad-input")
        yield Door(api, evaluation, place, revoked_key(mesh, api, place), mesh.token)


def revoked_key(mesh: Mesh, api: grpc.Channel, place: Place) -> str:
    """A server key that was never used."""
    stub = sdk_key_service_pb2_grpc.SdkKeyServiceStub(api)
    key = sdk_key_service_pb2.SdkKey(
        kind=sdk_key_service_pb2.SDK_KEY_KIND_SERVER, display_name="lost"
    )
    create = sdk_key_service_pb2.CreateSdkKeyRequest(parent=place.environment, sdk_key=key)
    created = call(stub.CreateSdkKey, create, mesh)
    revoke = sdk_key_service_pb2.RevokeSdkKeyRequest(name=created.sdk_key.name)
    call(stub.RevokeSdkKey, revoke, mesh)
    return str(created.secret)


@pytest.mark.parametrize("method", [*DATA_PLANE, LIST_FLAGS])
@pytest.mark.parametrize("secret", [None, "", "nonsense", "fms_unknown", "fmt"])
def test_a_call_with_a_missing_or_unknown_secret_is_not_let_in(
    door: Door, method: str, secret: str | None
) -> None:
    if secret == "fms_unknown" and method == LIST_FLAGS:
        secret = "fmt_unknown"
    refusal = door.refuse(method, secret=secret)
    assert refusal.code is grpc.StatusCode.UNAUTHENTICATED
    assert not secret or secret not in refusal.message


@pytest.mark.parametrize("method", DATA_PLANE)
def test_a_revoked_key_is_not_let_in(door: Door, method: str) -> None:
    refusal = door.refuse(method, secret=door.revoked_key)
    assert refusal.code is grpc.StatusCode.UNAUTHENTICATED
    assert "revoked" in refusal.message


def test_a_client_key_opens_no_definitions(door: Door) -> None:
    refusal = door.refuse(SYNC_DEFINITIONS, secret=door.place.client_key)
    assert refusal.code is grpc.StatusCode.PERMISSION_DENIED


@pytest.mark.parametrize("kind", ["server_key", "client_key"])
def test_an_sdk_key_manages_nothing(door: Door, kind: str) -> None:
    refusal = door.refuse(LIST_FLAGS, secret=getattr(door.place, kind))
    assert refusal.code is grpc.StatusCode.PERMISSION_DENIED


@pytest.mark.parametrize("method", [SYNC_DEFINITIONS, SYNC_EVALUATIONS, TRACK])
def test_a_management_token_is_no_sdk_key(door: Door, method: str) -> None:
    refusal = door.refuse(method, secret=door.token)
    assert refusal.code is grpc.StatusCode.PERMISSION_DENIED
    assert door.token not in refusal.message


def test_an_unknown_environment_is_not_found(door: Door) -> None:
    nowhere = "organizations/none/projects/none/environments/no-such-environment"
    for method, request in {
        LIST_FLAGS: flag_service_pb2.ListFlagsRequest(parent=nowhere),
        CREATE_FLAG: flag_service_pb2.CreateFlagRequest(parent=nowhere, resource=boolean_flag("a")),
    }.items():
        refusal = door.refuse(method, request, secret=door.token)
        assert refusal.code is grpc.StatusCode.NOT_FOUND
        assert nowhere in refusal.message


def test_every_fault_of_a_malformed_flag_is_named(door: Door) -> None:
    resource = boolean_flag("not a key")
    resource.flag.off_variation_id = "nowhere"
    resource.flag.fallthrough.shares[0].weight = 1
    resource.flag.variations[1].value.CopyFrom(value_pb2.Value(string_value="no"))
    resource.flag.prerequisites.add(flag_key="other")
    request = flag_service_pb2.CreateFlagRequest(parent=door.place.environment, resource=resource)
    refusal = door.refuse(CREATE_FLAG, request, secret=door.token)
    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert set(refusal.fields) == {
        "resource.flag.key",
        "resource.flag.variations[1].value",
        "resource.flag.off_variation_id",
        "resource.flag.prerequisites[0].variation_id",
        "resource.flag.fallthrough.shares",
    }


def test_a_flag_that_needs_what_is_not_there_is_not_made(door: Door) -> None:
    resource = boolean_flag("needy")
    resource.flag.prerequisites.add(flag_key="no-such-flag", variation_id="on")
    request = flag_service_pb2.CreateFlagRequest(parent=door.place.environment, resource=resource)
    refusal = door.refuse(CREATE_FLAG, request, secret=door.token)
    assert refusal.code in {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.FAILED_PRECONDITION,
    }
    assert "no-such-flag" in refusal.message


@pytest.mark.parametrize(
    ("method", "field", "request_with"),
    [
        (
            CREATE_PROJECT,
            "project.display_name",
            lambda text: project_service_pb2.CreateProjectRequest(
                parent="organizations/bad-input",
                project=project_service_pb2.Project(key="a", display_name=text),
            ),
        ),
        (
            EVALUATE,
            "context.key",
            lambda text: evaluation_pb2.EvaluateRequest(context=evaluation_pb2.Context(key=text)),
        ),
        (
            SYNC_EVALUATIONS,
            "context.key",
            lambda text: sync_pb2.SyncEvaluationsRequest(context=evaluation_pb2.Context(key=text)),
        ),
        (
            SYNC_DEFINITIONS,
            "sdk.name",
            lambda text: sync_pb2.SyncDefinitionsRequest(sdk=sync_pb2.SdkInfo(name=text)),
        ),
        (TRACK, "batch_id", lambda text: insights_pb2.TrackRequest(batch_id=text)),
    ],
)
def test_an_over_long_text_is_refused_with_its_field(
    door: Door, method: str, field: str, request_with: Callable[[str], Any]
) -> None:
    secret = door.token if ".management." in method else door.place.server_key
    text = "ü" * 5_000
    refusal = door.refuse(method, request_with(text), secret=secret)
    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert field in refusal.fields
    assert len(refusal.message) < 500, "the text itself is not sent back"


@pytest.mark.parametrize(
    ("method", "limit"),
    [
        (EVALUATE, MIB),
        (SYNC_EVALUATIONS, MIB),
        (TRACK, 8 * MIB),
        (LIST_FLAGS, MIB),
        (CREATE_FLAG, 4 * MIB + 64 * 1024),
        (IMPORT, 16 * MIB),
    ],
)
def test_a_request_beyond_its_method_s_limit_is_refused_with_both_sizes(
    door: Door, method: str, limit: int
) -> None:
    secret = door.token if ".management." in method else door.place.server_key
    refusal = door.refuse(method, bytes(limit + 1), secret=secret)
    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refusal.fields == {"request": f"has {limit + 1} bytes; the limit is {limit}"}


@pytest.mark.parametrize("method", [TRACK, IMPORT])
def test_a_request_beyond_the_hard_limit_is_refused_by_grpc_itself(door: Door, method: str) -> None:
    refusal = door.refuse(method, bytes(32 * MIB + 1), secret=door.token, by_us=False)
    assert refusal.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert not _INSIDES.search(refusal.message)


@pytest.mark.parametrize("method", [*DATA_PLANE, CREATE_FLAG, IMPORT])
@pytest.mark.parametrize("data", [b"\xff\xff\xff", b"\x0a\x04ab"])
def test_bytes_that_are_no_message_are_refused(door: Door, method: str, data: bytes) -> None:
    secret = door.token if ".management." in method else door.place.server_key
    refusal = door.refuse(method, data, secret=secret)
    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("method", [TRACK, CREATE_FLAG, IMPORT])
def test_a_text_that_is_no_utf_8_is_refused(door: Door, method: str) -> None:
    secret = door.token if ".management." in method else door.place.server_key
    refusal = door.refuse(method, b"\x0a\x02\xff\xfe", secret=secret)
    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT


def test_an_import_with_one_bad_flag_imports_none(mesh: Mesh, door: Door) -> None:
    request = import_service_pb2.ImportItemsRequest(
        parent=door.place.environment,
        flags=[boolean_flag("good"), boolean_flag("not good")],
    )
    refusal = door.refuse(IMPORT, request, secret=door.token)
    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert list(refusal.fields) == ["flags[1].flag.key"]
    stub = flag_service_pb2_grpc.FlagServiceStub(door.api)
    listing = flag_service_pb2.ListFlagsRequest(parent=door.place.environment)
    assert not call(stub.ListFlags, listing, mesh).resources
