from __future__ import annotations

import json
import queue
import stat
from pathlib import Path

import pytest

from featmesh import Client, ErrorKind, Options, Status
from featmesh.engine import Segment

from .frames import ADA, digested, flag, full, patch, token, without_token
from .stage import LIMIT, Stage, quick_options

KEY = "server-key-0123456789"


def offline(**changed: object) -> Options:
    return Options(offline=True, **changed)  # type: ignore[arg-type] # a test's own choice


def with_cache(directory: Path) -> Options:
    return quick_options(cache_directory=directory)


def test_offline_serves_defaults_and_says_so() -> None:
    with Client("", "", options=offline()) as client:
        assert client.wait_until_ready(0)
        detail = client.boolean_detail("dark", ADA, default=True)
        assert (detail.value, detail.error_kind) == (True, ErrorKind.CLIENT_NOT_READY)
        assert client.status is Status.OFFLINE
        client.track("bought", ADA)
        client.identify(ADA)
        assert client.flush(0)


def test_what_was_saved_is_a_bootstrap_file(stage: Stage, tmp_path: Path) -> None:
    path = tmp_path / "flags.json"
    with Client(stage.address, "key", options=quick_options()) as client:
        segment = Segment("s", "s", included=("ada",))
        stage.next_stream().send(full(7, segment, flag("dark", segment="s")))
        assert client.wait_until_ready(LIMIT)
        client.save_definitions(path)
    with Client("", "", options=offline(bootstrap_file=path)) as client:
        assert client.boolean_value("dark", ADA, default=False)
        assert (client.revision, client.status) == (7, Status.OFFLINE)
    assert json.loads(path.read_text())["items"][1]["flag"]["key"] == "dark"


def test_a_bootstrap_is_served_as_stale_until_the_server_replaces_all_of_it(
    stage: Stage, tmp_path: Path
) -> None:
    path = tmp_path / "flags.json"
    document = {"revision": "9", "items": [{"deletedFlagKey": "x"}]}
    path.write_text(json.dumps(document))
    with Client(stage.address, "key", options=quick_options(bootstrap_file=path)) as client:
        assert client.wait_until_ready(0)
        assert (client.status, client.revision) == (Status.STALE, 9)
        stream = stage.next_stream()
        assert stream.request.resume.revision == 0, "the file may be of another environment"
        stream.send(full(3, flag("dark")))
        stream.end()
        assert stage.next_stream().request.resume.revision == 3


@pytest.mark.parametrize("content", [None, b"", b"[1]", b'{"flags": 1}', b"\xff\xfe"])
def test_a_bootstrap_file_that_cannot_be_read_is_refused_with_its_path(
    tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "flags.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=r"flags\.json"):
        Client("", "", options=offline(bootstrap_file=path))


def test_the_next_start_serves_the_cache_and_asks_only_for_what_changed(
    stage: Stage, tmp_path: Path
) -> None:
    options = with_cache(tmp_path / "cache")
    with Client(stage.address, KEY, options=options) as client:
        late: queue.Queue[str] = queue.Queue(1)
        client.on_flag_change("late", late.put)
        stage.next_stream().send(full(5, flag("dark")), patch(6, flag("late", revision=6)))
        late.get(timeout=LIMIT)
    with Client(stage.address, KEY, options=options) as client:
        assert client.wait_until_ready(0)
        assert client.boolean_value("late", ADA, default=False)
        assert client.status is Status.STALE
        stream = stage.next_stream()
        assert stream.request.resume.revision == 6


def test_the_token_of_what_is_held_is_sent_by_the_next_stream_and_the_next_start(
    stage: Stage, tmp_path: Path
) -> None:
    options = with_cache(tmp_path)
    with Client(stage.address, KEY, options=options) as client:
        stream = stage.next_stream()
        assert stream.resume is None
        stream.send(digested(full(5, flag("dark")), b"five"))
        stream.end()
        stream = stage.next_stream()
        assert stream.resume == token(5, b"five")
        stream.send(digested(patch(6), b"six"))
        stream.end()
        assert stage.next_stream().resume == token(6, b"six")
        assert client.revision == 6
    with Client(stage.address, KEY, options=options):
        assert stage.next_stream().resume == token(6, b"six")


def test_a_server_that_gives_no_token_is_sent_none_of_an_earlier_one(
    stage: Stage, tmp_path: Path
) -> None:
    options = with_cache(tmp_path)
    with Client(stage.address, KEY, options=options):
        stream = stage.next_stream()
        stream.send(full(5, flag("dark")), without_token(patch(6)))
        stream.end()
        assert stage.next_stream().resume is None
    with Client(stage.address, KEY, options=options) as client:
        assert client.boolean_value("dark", ADA, default=False), "what is held is served"
        assert stage.next_stream().resume is None


def test_who_starts_over_from_nothing_sends_no_token(stage: Stage) -> None:
    with Client(stage.address, KEY, options=quick_options()):
        stream = stage.next_stream()
        stream.send(full(5, flag("dark")), patch(4))
        assert stage.next_stream().resume is None


def test_a_bootstraps_token_counts_for_nothing(stage: Stage, tmp_path: Path) -> None:
    path = tmp_path / "flags.json"
    path.write_text(json.dumps({"resume": {"revision": "9", "digest": "bmluZQ=="}}))
    with Client(stage.address, "key", options=quick_options(bootstrap_file=path)):
        assert stage.next_stream().resume is None


def test_a_cache_file_of_before_there_were_epochs_begins_at_nothing(
    stage: Stage, tmp_path: Path
) -> None:
    options = with_cache(tmp_path)
    with Client(stage.address, KEY, options=options) as client:
        stage.next_stream().send(full(5, flag("dark")))
        assert client.wait_until_ready(LIMIT)
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes().replace(b"definitions 2", b"definitions 1"))
    with Client(stage.address, KEY, options=options):
        assert stage.next_stream().resume is None


def test_a_cache_is_for_its_owner_and_of_one_key_and_holds_no_key(
    stage: Stage, tmp_path: Path
) -> None:
    options = with_cache(tmp_path)
    with Client(stage.address, KEY, options=options) as client:
        stage.next_stream().send(full(5, flag("dark")))
        assert client.wait_until_ready(LIMIT)
    (path,) = tmp_path.iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert KEY not in path.name
    assert KEY.encode() not in path.read_bytes()
    with Client(stage.address, "another-key", options=options) as client:
        assert not client.wait_until_ready(0)


@pytest.mark.parametrize("damage", ["cut", "flipped", "other-format", "empty", "directory"])
def test_a_damaged_cache_is_ignored_with_one_line_in_the_log(
    stage: Stage, tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    options = with_cache(tmp_path)
    with Client(stage.address, KEY, options=options) as client:
        stage.next_stream().send(full(5, flag("dark")))
        assert client.wait_until_ready(LIMIT)
    (path,) = tmp_path.iterdir()
    good = path.read_bytes()
    bad = {
        "cut": good[:-1],
        "flipped": good[:-1] + bytes([good[-1] ^ 1]),
        "other-format": good.replace(b" 2\n", b" 3\n", 1),
        "empty": b"",
    }
    if damage == "directory":
        path.unlink()
        path.mkdir()
    else:
        path.write_bytes(bad[damage])
    for _ in range(2):
        with Client(stage.address, KEY, options=options) as client:
            assert not client.wait_until_ready(0)
            assert stage.next_stream().request.resume.revision == 0
    assert caplog.text.count("is not used") == 1


def test_a_cache_that_cannot_be_written_harms_nothing(
    stage: Stage, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with Client(stage.address, KEY, options=with_cache(blocked / "cache")) as client:
        stage.next_stream().send(full(5, flag("dark")))
        assert client.wait_until_ready(LIMIT)
        assert client.boolean_value("dark", ADA, default=False)
    assert caplog.text.count("is not written") == 1
