"""The bytes that docs/protocol/sync.md shows are those of the wire."""

from __future__ import annotations

import hashlib
import re

import pytest

from featmesh.engine.model import Segment
from featmesh.sync.v1 import sync_pb2
from featmesh.wire import segment_to_proto
from services.evaluation.replica.view import View
from services.storage.model.definitions import Definitions, Tombstone
from tests.support.mesh import ROOT

PAGE = ROOT / "docs" / "protocol" / "sync.md"

EPOCH = bytes(range(16))
HELD, SENT = 1_767_225_600_000, 1_767_225_600_123


def shown(name: str) -> bytes:
    """The bytes of a block, without what stands beside them."""
    (block,) = re.findall(
        rf"^```hex {name}\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL
    )
    lines = [line[:53] for line in block.splitlines()]
    return bytes.fromhex("".join(lines))


def environment(
    revision: int, *segments: Segment, deleted: tuple[Tombstone, ...] = ()
) -> Definitions:
    return Definitions("e", revision, 0, (), segments, deleted, epoch=EPOCH)


@pytest.fixture
def view() -> View:
    """An empty environment in which a flag has come and gone."""
    return View.of(environment(HELD)).after(environment(SENT, deleted=(Tombstone("old", SENT),)))


def test_the_request_is_what_an_sdk_sends(view: View) -> None:
    token = sync_pb2.ResumeToken(epoch=EPOCH, revision=HELD, digest=view.digest)
    request = sync_pb2.SyncDefinitionsRequest(resume=token)
    assert shown("request") == request.SerializeToString()


def test_the_response_is_what_the_server_sends(view: View) -> None:
    assert (shown("response"),) == view.patch_frames(HELD)


def test_the_digest_is_made_as_the_page_says(view: View) -> None:
    segments = Segment("s-1", "one", revision=SENT), Segment("s-2", "two", revision=SENT)
    items = [sync_pb2.Item(segment=segment_to_proto(each)) for each in segments]
    hashes = [hashlib.sha256(item.SerializeToString()).digest() for item in items]
    total = sum(map(int.from_bytes, hashes)) % 2**256
    assert view.after(environment(SENT + 1, *segments)).digest == total.to_bytes(32)
