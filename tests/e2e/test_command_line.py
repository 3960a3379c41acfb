"""An operator's days: every command against the real services."""

from __future__ import annotations

import json
import select
import signal
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any, Final

import grpc
import pytest

import featmesh
from featmesh.flag.v1 import flag_pb2
from featmesh.management.v1 import (
    flag_service_pb2,
    flag_service_pb2_grpc,
    segment_service_pb2,
    segment_service_pb2_grpc,
)
from featmesh.sync.v1 import sync_pb2, sync_pb2_grpc
from tests.e2e.command_line import FEATMESH, SHOP, SHOP_FILES, Operator, operator_of
from tests.support.flags import boolean_flag, segment
from tests.support.mesh import Mesh, call
from tests.support.places import Place, make_place
from tests.support.ports import free_address
from tests.support.waiting import PATIENCE, eventually

pytestmark = pytest.mark.long(80)

# What the commands do does not depend on how many processes the services are.
pytestmark = pytest.mark.parametrize("mesh", ["three-services"], indirect=True)

DEFAULT_RECEIVED: Final = 4 * 1024 * 1024
"""Bytes of an answer that a gRPC client takes unless it is told otherwise."""


@pytest.fixture(scope="module")
def channel(mesh: Mesh) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(mesh.api) as opened:
        yield opened


@pytest.fixture(scope="module")
def place(mesh: Mesh, channel: grpc.Channel) -> Place:
    return make_place(mesh, channel, "command-line")


@pytest.fixture(scope="module")
def operator(mesh: Mesh, place: Place) -> Operator:
    """With the shop imported; each test has flags of its own to change."""
    made = operator_of(mesh, place)
    printed = made.run("import", "featbit", *SHOP_FILES)
    assert printed.startswith("Imported 12 flags and 3 segments; the environment is at revision ")
    return made


def keys_of(resources: Any, kind: str = "flag") -> list[str]:
    return [resource[kind]["key"] for resource in resources]


def test_a_place_for_flags_is_made_from_the_organization_down(mesh: Mesh) -> None:
    operator = operator_of(mesh)
    organization = operator.run("organizations", "create", "acme", "--name", "Acme Ltd").strip()
    project = operator.run("projects", "create", "web", "--organization", organization).strip()
    environment = operator.run("environments", "create", "live", "--project", project).strip()

    assert environment == "organizations/acme/projects/web/environments/live"
    (row,) = (line for line in operator.run("organizations", "list").splitlines() if "acme" in line)
    assert row.split() == [organization, "Acme", "Ltd"]
    (listed,) = operator.json("projects", "list", "--organization", "acme", "--json")
    assert (listed["name"], listed["key"], listed["display_name"]) == (project, "web", "web")
    (live,) = operator.json("environments", "list", "--project", project, "--json")
    assert (live["name"], live["key"]) == (environment, "live")
    assert operator.json("environments", "get", live["meta"]["id"], "--json") == live

    again = operator.refused("organizations", "create", "acme")
    assert again.startswith("Error: ALREADY_EXISTS: ")
    assert "acme" in again


def test_organizations_and_projects_are_renamed_and_deleted_once_they_are_empty(
    mesh: Mesh,
) -> None:
    operator = operator_of(mesh)
    organization = operator.run("organizations", "create", "brief").strip()
    project = operator.run("projects", "create", "web", "--organization", "brief").strip()
    assert "Web shop" in operator.run("projects", "update", project, "--name", "Web shop")
    refusal = operator.refused("organizations", "delete", "brief")
    assert refusal.startswith("Error: FAILED_PRECONDITION: ")
    assert operator.run("projects", "delete", project) == f"{project} is deleted.\n"
    assert "Briefly" in operator.run("organizations", "update", "brief", "--name", "Briefly")
    operator.run("organizations", "delete", organization)
    assert operator.refused("organizations", "get", "brief").startswith("Error: NOT_FOUND: ")


def test_a_token_may_do_what_its_grants_say_until_it_is_revoked(
    mesh: Mesh, operator: Operator, place: Place
) -> None:
    organization = place.environment.partition("/projects/")[0]
    granted = ("--organization", organization, "--grant", f"viewer@{place.environment}")
    secret = operator.run("tokens", "create", "reader", *granted).strip()
    (token,) = (
        each
        for each in operator.json("tokens", "list", "--organization", organization, "--json")
        if each["display_name"] == "reader"
    )
    reader = operator_of(mesh, place, FEATMESH_TOKEN=secret)
    assert "reader" in reader.run("whoami")
    assert f"viewer@{place.environment}" in reader.run("whoami")
    assert keys_of(reader.json("flags", "list", "--json"))
    refusal = reader.refused("flags", "toggle", "recommendations", "--on")
    assert refusal.startswith("Error: not allowed: ")
    assert "flags.toggle" in refusal

    later = (datetime.now(UTC) + timedelta(days=30)).date().isoformat()
    rotated = operator.run("tokens", "rotate", token["name"], "--expires", later).strip()
    assert rotated != secret
    assert "is revoked" in operator.run("tokens", "revoke", token["name"])
    for useless in (secret, rotated):
        eventually(
            lambda: operator.is_let_in("whoami", FEATMESH_TOKEN=useless),  # noqa: B023 -- used at once
            accept=lambda let_in: not let_in,
        )


def test_a_change_of_what_has_changed_meanwhile_is_not_written(
    mesh: Mesh, channel: grpc.Channel, operator: Operator, place: Place
) -> None:
    stub = flag_service_pb2_grpc.FlagServiceStub(channel)
    get = flag_service_pb2.GetFlagRequest(name=place.flag("gift-wrapping"))
    before = call(stub.GetFlag, get, mesh).resource
    told = operator.run("flags", "update", "gift-wrapping", "--description", "In paper.")
    assert f"now version {before.meta.version + 1} " in told
    stale = flag_service_pb2.UpdateFlagRequest(resource=before, base_version=before.meta.version)
    stale.update_mask.paths.append("display_name")
    with pytest.raises(grpc.RpcError) as caught:
        call(stub.UpdateFlag, stale, mesh)
    assert caught.value.code() is grpc.StatusCode.ABORTED


def test_a_revoked_key_opens_nothing(mesh: Mesh, operator: Operator) -> None:
    secret = operator.run("keys", "create", "till").strip()
    assert secret.startswith("fms_")
    listed = operator.json("keys", "list", "--json")
    (key,) = (each for each in listed if each["display_name"] == "till")
    assert secret.endswith(key["last_characters"])

    assert "is revoked" in operator.run("keys", "revoke", key["meta"]["id"])

    table = operator.run("keys", "list")
    assert secret not in table
    (row,) = (line for line in table.splitlines() if "till" in line)
    assert len(row.split()) == 8, "it has a time of its revocation"
    with grpc.insecure_channel(mesh.evaluation) as channel:
        stream = sync_pb2_grpc.SyncServiceStub(channel).SyncDefinitions(
            sync_pb2.SyncDefinitionsRequest(),
            metadata=(("authorization", f"Bearer {secret}"),),
            timeout=PATIENCE,
        )
        with pytest.raises(grpc.RpcError) as caught:
            next(stream)
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert "revoked" in operator.refused("evaluate", FEATMESH_SDK_KEY=secret)


def test_a_second_import_changes_nothing_unless_it_is_told_to(
    mesh: Mesh, channel: grpc.Channel
) -> None:
    operator = operator_of(mesh, make_place(mesh, channel, "imports"))
    assert "Would import 12 flags" in operator.run("import", "featbit", *SHOP_FILES, "--dry-run")
    assert operator.json("flags", "list", "--json") == []

    operator.run("import", "featbit", *SHOP_FILES)
    operator.run("flags", "toggle", "checkout-enabled", "--off")
    before = operator.json("flags", "list", "--json")

    taken = operator.refused("import", "featbit", *SHOP_FILES)
    assert "ALREADY_EXISTS" in taken
    assert "checkout-enabled" in taken
    skipped = operator.run("import", "featbit", *SHOP_FILES, "--on-conflict", "skip")
    assert "0 flags and 0 segments, left 12 flags and 3 segments as they were" in skipped
    assert operator.json("flags", "list", "--json") == before

    operator.run("import", "featbit", *SHOP_FILES, "--on-conflict", "replace")
    assert json.loads(operator.run("flags", "get", "checkout-enabled"))["flag"]["enabled"]


def test_a_malformed_export_is_refused_with_every_fault_and_its_path(
    mesh: Mesh, channel: grpc.Channel, tmp_path: Path
) -> None:
    operator = operator_of(mesh, make_place(mesh, channel, "malformed"))
    exported = json.loads((SHOP / "flags.json").read_text())
    exported[0]["disabledVariationId"] = "nowhere"
    exported[1]["variationType"] = "colour"
    exported[3]["isEnabled"] = "yes"
    flags = tmp_path / "flags.json"
    flags.write_text(json.dumps(exported))
    refusal = operator.refused("import", "featbit", f"--flags={flags}", SHOP_FILES[1])
    assert "nothing imported, 3 faults:" in refusal
    for path in ("[0].disabledVariationId", "[1].variationType", "[3].isEnabled"):
        assert f"flags.json: {path}: " in refusal
    assert operator.json("flags", "list", "--json") == []
    assert operator.json("segments", "list", "--json") == []


def test_a_flag_is_switched_with_and_without_saying_to_what(operator: Operator) -> None:
    flag = "reviews-with-photos"

    def toggle(*options: str) -> str:
        return operator.run("flags", "toggle", flag, *options).partition(" (")[0]

    assert toggle() == f"{flag} is on"
    assert toggle() == f"{flag} is off"
    assert toggle("--off") == f"{flag} is off"
    assert toggle("--on") == f"{flag} is on"
    (row,) = (line for line in operator.run("flags", "list").splitlines() if flag in line)
    assert row.split()[:3] == [flag, "on", "boolean"]
    assert keys_of(operator.json("flags", "list", "--tag", "kill-switch", "--json")) == [
        "checkout-enabled"
    ]


def test_an_archived_flag_is_hidden_until_it_is_restored(operator: Operator) -> None:
    flag = "buy-button-colour"
    assert "is archived" in operator.run("flags", "archive", flag)
    assert flag not in keys_of(operator.json("flags", "list", "--json"))
    assert flag in keys_of(operator.json("flags", "list", "--archived", "--json"))
    assert "is on" in operator.run("flags", "restore", flag)
    assert flag in keys_of(operator.json("flags", "list", "--json"))


def test_a_flag_that_another_needs_stays_until_that_one_is_gone(
    mesh: Mesh, channel: grpc.Channel, operator: Operator, place: Place
) -> None:
    stub = flag_service_pb2_grpc.FlagServiceStub(channel)
    payment, express = boolean_flag("payment"), boolean_flag("express")
    express.flag.prerequisites.add(flag_key="payment", variation_id="on")
    for resource in (payment, express):
        request = flag_service_pb2.CreateFlagRequest(parent=place.environment, resource=resource)
        call(stub.CreateFlag, request, mesh)

    refusal = operator.refused("flags", "delete", "payment")
    assert refusal.startswith("Error: FAILED_PRECONDITION: ")
    assert len(refusal.splitlines()) == 1
    assert "'payment'" in refusal
    assert "'express'" in refusal
    assert "is deleted" in operator.run("flags", "delete", "express")
    assert "is deleted" in operator.run("flags", "delete", "payment")
    assert operator.refused("flags", "get", "payment").startswith("Error: NOT_FOUND: ")


def test_a_segment_goes_only_when_no_flag_uses_it(
    mesh: Mesh, channel: grpc.Channel, operator: Operator, place: Place
) -> None:
    request = segment_service_pb2.CreateSegmentRequest(
        parent=place.environment, resource=segment("press", included=["ada"])
    )
    call(segment_service_pb2_grpc.SegmentServiceStub(channel).CreateSegment, request, mesh)
    listed = operator.json("segments", "list", "--json")
    assert keys_of(listed, "segment") == ["eu-shoppers", "gold-customers", "press", "staff"]
    for command in ("archive", "delete"):
        refusal = operator.refused("segments", command, "eu-shoppers")
        assert refusal.startswith("Error: FAILED_PRECONDITION: segment 'eu-shoppers' ")
        assert "homepage-banner" in refusal
        assert len(refusal.splitlines()) == 1

    assert "is archived" in operator.run("segments", "archive", "press")
    assert "press" not in operator.run("segments", "list")
    assert "is active" in operator.run("segments", "restore", "press")
    shown = json.loads(operator.run("segments", "get", "press"))
    assert shown["segment"]["included"] == ["ada"]
    assert "is deleted" in operator.run("segments", "delete", "press")
    assert operator.refused("segments", "get", "press").startswith("Error: NOT_FOUND: ")


def test_a_flag_goes_back_to_an_earlier_version_also_after_its_deletion(
    operator: Operator,
) -> None:
    flag = "free-shipping-threshold"
    operator.run("flags", "toggle", flag)
    operator.run("flags", "delete", flag)
    table = operator.run("flags", "history", flag).splitlines()
    assert [line.split()[:2] for line in table[1:]] == [
        ["3", "deleted"],
        ["2", "off"],
        ["1", "on"],
    ]
    refusal = operator.refused("flags", "rollback", flag, "--to", "3")
    assert refusal.startswith("Error: FAILED_PRECONDITION: version 3 is a deletion")

    told = operator.run("flags", "rollback", flag, "--to", "1", "--comment", "missed")
    assert told.startswith(f"{flag} is as in version 1: now version 4 (revision ")
    assert json.loads(operator.run("flags", "get", flag))["flag"]["enabled"]
    versions = operator.json("flags", "history", flag, "--limit", "2", "--json")
    assert [each["version"] for each in versions] == ["4", "3"]
    (entry, *_) = operator.json("audit", "--resource", f"flags/{flag}", "--json")
    assert (entry["operation"], entry["comment"]) == ("rollback", "to version 1: missed")


def test_a_deleted_segment_comes_back_from_its_history(
    mesh: Mesh, channel: grpc.Channel, operator: Operator, place: Place
) -> None:
    request = segment_service_pb2.CreateSegmentRequest(
        parent=place.environment, resource=segment("beta", included=["ada"])
    )
    call(segment_service_pb2_grpc.SegmentServiceStub(channel).CreateSegment, request, mesh)
    operator.run("segments", "delete", "beta")
    told = operator.run("segments", "rollback", "beta", "--to", "1")
    assert told.startswith("beta is as in version 1: now version 3 (revision ")
    rows = operator.run("segments", "history", "beta").splitlines()[1:]
    assert [line.split()[:2] for line in rows] == [
        ["3", "active"],
        ["2", "deleted"],
        ["1", "active"],
    ]
    operator.run("segments", "delete", "beta")


def test_an_environment_is_deleted_only_when_that_is_confirmed(
    mesh: Mesh, channel: grpc.Channel
) -> None:
    place = make_place(mesh, channel, "doomed")
    operator = operator_of(mesh, place)
    asked = operator.refused("environments", "delete", place.environment)
    assert "for good?" in asked
    assert operator.json("flags", "list", "--json") == []

    told = operator.run("environments", "delete", place.environment, "--yes")
    assert told == f"{place.environment} is deleted.\n"
    for refusal in (
        operator.refused("flags", "list"),
        operator.refused("environments", "delete", place.environment),
    ):
        assert refusal.startswith("Error: NOT_FOUND: ")


def test_evaluation_depends_on_the_user_s_attributes(operator: Operator) -> None:
    def value(*attributes: str) -> Any:
        options = [f"--attribute={each}" for each in attributes]
        (result,) = operator.json("evaluate", "gift-wrapping", "--user", "ada", *options, "--json")
        return result["value"]["bool_value"], result["reason"]

    assert value("basketItems=3") != value("basketItems=300")
    table = operator.run("evaluate", "--user", "ada")
    assert "checkout-enabled" in table
    unknown = operator.run("evaluate", "no-such-flag")
    assert "FLAG_NOT_FOUND" in unknown


def test_an_explanation_shows_every_step_and_what_it_compared(operator: Operator) -> None:
    printed = operator.run("explain", "one-click-buy", "--user", "ada", "--attribute", "age=12")
    lines = printed.splitlines()
    assert "✓ rule No minors" in lines
    assert any(line.strip().startswith("✓ age LESS_THAN") for line in lines)
    assert lines[-1].endswith("rule 'No minors' holds")
    answer = operator.json("explain", "new-search", "--user", "ada", "--json")
    shares = answer["explanations"][0]["rollout"]["shares"]
    assert [share["served"] for share in shares].count(True) == 1


def test_what_was_tracked_and_evaluated_can_be_seen(
    mesh: Mesh, operator: Operator, place: Place
) -> None:
    told = operator.run("track", "order", "--user", "grace", "--attribute", "plan=gold")
    assert told == "order of grace is stored.\n"
    ada = featmesh.Context("ada", "Ada", {"plan": "gold"})
    with featmesh.Client(mesh.evaluation, place.server_key) as client:
        assert client.wait_until_ready(PATIENCE)
        client.identify(ada)
        assert client.boolean_value("one-click-buy", ada, default=False) in {True, False}
        assert client.flush(PATIENCE)

    def listed() -> dict[str, Any]:
        users = operator.json("users", "list", "--json")
        return {each["context"]["key"]: each["context"] for each in users}

    def has_both(found: dict[str, Any]) -> bool:
        # Who was explained a flag in another test is known by key, and named when this is stored.
        return "grace" in found and found.get("ada", {}).get("name") == "Ada"

    users = eventually(listed, accept=has_both)
    assert "plan" in users["grace"]["attributes"]
    assert "grace" not in operator.run("users", "list", "--prefix", "ad")
    report = ("reports", "evaluations", "one-click-buy", "--by", "hour")
    (hour,) = eventually(lambda: operator.json(*report, "--json")["counts"])
    assert int(hour["evaluations"]) == 1
    assert operator.run(*report).splitlines()[-1].split()[-1] == "1"


def test_the_audit_log_says_who_did_what_and_why(operator: Operator) -> None:
    operator.run("flags", "toggle", "recommendations", "--off", "--comment", "too pushy")
    entries = operator.json("audit", "--resource", "flags/recommendations", "--json")
    assert [entry["operation"] for entry in entries] == ["toggle", "import"]
    assert entries[0]["comment"] == "too pushy"
    assert entries[0]["actor"]["display_name"]
    assert json.loads(entries[0]["before_json"]) != json.loads(entries[0]["after_json"])
    row = operator.run("audit", "--limit", "1").splitlines()[1]
    assert entries[0]["actor"]["display_name"] in row
    assert "too pushy" in row


def test_watch_shows_a_toggle_at_once_and_ends_quietly(operator: Operator) -> None:
    watch = subprocess.Popen(
        [FEATMESH, "watch", "checkout-enabled"],
        env=operator.environment(PYTHONUNBUFFERED="1"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert watch.stdout is not None
        assert "checkout-enabled = true" in next_line(watch.stdout)
        operator.run("flags", "toggle", "checkout-enabled")
        assert "checkout-enabled = false" in next_line(watch.stdout)
        watch.send_signal(signal.SIGINT)
        _, errors = watch.communicate(timeout=PATIENCE)
    finally:
        watch.kill()
        watch.wait()
    assert (watch.returncode, errors.strip()) == (0, "")


def next_line(stream: IO[str]) -> str:
    """Waits for a line, bounded."""
    readable, _, _ = select.select([stream], [], [], PATIENCE)
    assert readable, "no line came"
    return stream.readline()


@pytest.mark.parametrize("command", ["flags", "segments"])
def test_every_list_says_when_it_is_not_let_in(operator: Operator, command: str) -> None:
    refusal = operator.refused(command, "list", FEATMESH_TOKEN="fmt_wrong")
    assert refusal.startswith("Error: not let in; check the token or SDK key: ")
    assert len(refusal.splitlines()) == 1


def test_an_sdk_key_is_no_token_and_a_token_no_sdk_key(operator: Operator) -> None:
    key, token = operator.variables["FEATMESH_SDK_KEY"], operator.variables["FEATMESH_TOKEN"]
    for refusal in (
        operator.refused("flags", "list", FEATMESH_TOKEN=key),
        operator.refused("track", "bought", "--user", "ada", FEATMESH_SDK_KEY=token),
    ):
        assert refusal.startswith("Error: not allowed: ")
        assert key not in refusal
        assert token not in refusal


def test_an_unknown_environment_is_told_in_one_line(operator: Operator) -> None:
    nowhere = "organizations/none/projects/none/environments/no-such-place"
    for command in (
        ["flags", "list"],
        ["flags", "toggle", "a", "--on"],
        ["audit"],
        ["keys", "list"],
    ):
        refusal = operator.refused(*command, FEATMESH_ENVIRONMENT=nowhere)
        assert refusal.startswith("Error: NOT_FOUND: "), command
        assert "no-such-place" in refusal
        assert len(refusal.splitlines()) == 1


def test_a_service_that_is_not_there_is_told_in_one_line_with_its_address(
    operator: Operator,
) -> None:
    nowhere = free_address()
    for refusal in (
        operator.refused("flags", "list", FEATMESH_API=nowhere),
        operator.refused("evaluate", FEATMESH_EVALUATION=nowhere),
    ):
        assert refusal.startswith("Error: the service cannot be reached: ")
        assert nowhere in refusal
        assert len(refusal.splitlines()) == 1


@pytest.mark.parametrize(
    ("command", "variable", "option", "code"),
    [
        (("flags", "list"), "FEATMESH_TOKEN", "--token", 2),
        (("flags", "list"), "FEATMESH_ENVIRONMENT", "--environment", 1),
        (("evaluate",), "FEATMESH_SDK_KEY", "--sdk-key", 2),
    ],
)
def test_a_missing_setting_is_named_with_its_option_and_variable(
    operator: Operator, command: tuple[str, ...], variable: str, option: str, code: int
) -> None:
    refusal = operator.refused(*command, code=code, **{variable: ""})
    assert option in refusal
    assert variable in refusal


def test_flags_larger_than_a_usual_answer_are_listed(mesh: Mesh, channel: grpc.Channel) -> None:
    place = make_place(mesh, channel, "large")
    stub = flag_service_pb2_grpc.FlagServiceStub(channel)
    users = [f"customer-{number:040}" for number in range(50_000)]
    for key in ("first", "second"):
        resource = boolean_flag(key)
        resource.flag.targets.append(flag_pb2.Target(variation_id="on", keys=users))
        request = flag_service_pb2.CreateFlagRequest(parent=place.environment, resource=resource)
        assert request.ByteSize() > DEFAULT_RECEIVED / 2
        call(stub.CreateFlag, request, mesh)
    operator = operator_of(mesh, place)
    listed = operator.json("flags", "list", "--json")
    assert keys_of(listed) == ["first", "second"]
    entries = operator.json("audit", "--json")
    assert len([entry for entry in entries if "/flags/" in entry["resource"]]) == 2
