from __future__ import annotations

import grpc
import pytest

from services.runtime.errors import InvalidArgument, MeshError, StoreUnavailable
from services.runtime.settings import ServerKind
from tests.support.statuses import error_info
from tests.unit.runtime.test_server import refusal, serving_evaluation


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (StoreUnavailable("MongoDB refused: " + "ü" * 20_000), grpc.StatusCode.UNAVAILABLE),
        (InvalidArgument.of("ü" * 20_000, "is bad"), grpc.StatusCode.INVALID_ARGUMENT),
    ],
)
async def test_an_error_with_a_long_message_keeps_its_code_and_its_reason(
    kind: ServerKind, error: MeshError, code: grpc.StatusCode
) -> None:
    """The metadata of a status has a limit, beyond which the caller learns nothing else."""
    async with serving_evaluation(kind, error) as (_, channel):
        answer = await refusal(channel)
    assert answer.code() == code
    assert error_info(answer).reason == error.reason
