from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import grpc
import pytest

from featmesh.management.v1 import audit_service_pb2, flag_service_pb2, segment_service_pb2

from .fake_api import ENVIRONMENT, Api, Refusal
from .test_resources import environment, flag, get_environment

FLAG = f"{ENVIRONMENT}/flags/dark"
SEGMENT = f"{ENVIRONMENT}/segments/beta"


def segment() -> segment_service_pb2.SegmentResource:
    made = segment_service_pb2.SegmentResource(name=SEGMENT, display_name="Beta")
    made.segment.key = "beta"
    made.segment.included.append("bob")
    made.meta.version, made.meta.revision = 5, 70
    return made


def update_segment(request: Any) -> segment_service_pb2.UpdateSegmentResponse:
    stored = segment()
    stored.MergeFrom(request.resource)
    stored.meta.revision = 71
    return segment_service_pb2.UpdateSegmentResponse(resource=stored)


def test_a_toggle_without_a_side_is_based_on_the_version_that_was_seen(api: Api) -> None:
    api.answers["GetFlag"] = flag_service_pb2.GetFlagResponse(resource=flag("dark", version=4))
    off = flag("dark", enabled=False, version=5)
    api.answers["ToggleFlag"] = flag_service_pb2.ToggleFlagResponse(resource=off)
    assert api.printed("flags", "toggle", "dark") == "dark is off (revision 78).\n"
    request = api.only("ToggleFlag")
    assert (request.name, request.enabled, request.base_version) == (FLAG, False, 4)


def test_a_toggle_to_a_side_holds_for_any_version(api: Api) -> None:
    api.printed("flags", "toggle", "dark", "--on", "--comment", "it is time")
    request = api.only("ToggleFlag")
    assert (request.enabled, request.base_version) == (True, 0)
    assert request.options.comment == "it is time"
    assert not api.requests["GetFlag"]


@pytest.mark.parametrize("verb", ["archive", "restore"])
def test_flags_and_segments_are_archived_and_restored(api: Api, verb: str) -> None:
    made = flag("dark")
    made.flag.archived = verb == "archive"
    api.answers["ArchiveFlag"] = flag_service_pb2.ArchiveFlagResponse(resource=made)
    api.answers["RestoreFlag"] = flag_service_pb2.RestoreFlagResponse(resource=made)
    state = {"archive": "archived", "restore": "on"}[verb]
    assert api.printed("flags", verb, "dark") == f"dark is {state} (revision 78).\n"
    assert api.only(f"{verb.title()}Flag").name == FLAG
    api.printed("segments", verb, "beta")
    assert api.only(f"{verb.title()}Segment").name == SEGMENT


def test_a_rollback_stores_an_earlier_version_as_a_new_one(api: Api) -> None:
    answer = flag_service_pb2.RollbackFlagResponse(resource=flag("dark", version=5))
    api.answers["RollbackFlag"] = answer
    told = api.printed("flags", "rollback", "dark", "--to", "2")
    assert told == "dark is as in version 2: now version 5 (revision 78).\n"
    request = api.only("RollbackFlag")
    assert (request.name, request.to_version) == (FLAG, 2)


def test_a_history_tells_of_deletions(api: Api) -> None:
    answer = flag_service_pb2.ListFlagVersionsResponse()
    answer.versions.add(version=2, revision=80)
    known = answer.versions.add(version=1, revision=78, resource=flag("dark"))
    known.resource.meta.updated_by.display_name = "Ada"
    api.answers["ListFlagVersions"] = answer
    rows = [line.split() for line in api.printed("flags", "history", "dark").splitlines()[1:]]
    assert rows == [["2", "deleted", "80"], ["1", "on", "78", "Ada", "dark"]]
    assert api.only("ListFlagVersions").name == FLAG


def test_a_deletion_tells_the_revision_of_the_tombstone(api: Api) -> None:
    api.answers["DeleteFlag"] = flag_service_pb2.DeleteFlagResponse(revision=81)
    assert api.printed("flags", "delete", "dark") == "dark is deleted (revision 81).\n"


def test_labels_of_a_flag_are_replaced_and_nothing_else(api: Api) -> None:
    api.answers["GetFlag"] = flag_service_pb2.GetFlagResponse(resource=flag("dark"))
    stored = flag("dark", version=5)
    api.answers["UpdateFlag"] = flag_service_pb2.UpdateFlagResponse(resource=stored)
    told = api.printed("flags", "update", "dark", "--tag", "ui", "--tag", "night")
    assert told == f"{FLAG} is changed: now version 5 (revision 78).\n"
    request = api.only("UpdateFlag")
    assert list(request.update_mask.paths) == ["tags"]
    assert list(request.resource.tags) == ["ui", "night"]
    assert (request.base_version, request.resource.HasField("flag")) == (4, False)


def test_users_added_to_a_segment_are_written_upon_what_was_read(api: Api, tmp_path: Path) -> None:
    api.answers["GetSegment"] = segment_service_pb2.GetSegmentResponse(resource=segment())
    api.answers["UpdateSegment"] = update_segment
    file = tmp_path / "keys.txt"
    file.write_text("ada\nbob\n")
    told = api.printed("segments", "add-users", "beta", "--from-file", str(file))
    assert told == "1 users added to segment beta, 1 were there already (revision 71).\n"
    request = api.only("UpdateSegment")
    assert list(request.resource.segment.included) == ["bob", "ada"]
    assert (list(request.update_mask.paths), request.base_version) == (["segment"], 5)
    assert not request.resource.display_name


def test_users_are_not_added_to_a_flag_that_changes_meanwhile(api: Api) -> None:
    resource = flag("dark")
    resource.flag.variations.add(id="on")
    api.answers["GetFlag"] = flag_service_pb2.GetFlagResponse(resource=resource)
    api.answers["UpdateFlag"] = Refusal(grpc.StatusCode.ABORTED, "it is at version 5")
    refusal = api.refused("flags", "add-users", "dark", "--variation", "on", "--user", "ada")
    assert "nothing was written; look at it again, then repeat this" in refusal
    request = api.only("UpdateFlag")
    assert (list(request.update_mask.paths), request.base_version) == (["flag"], 4)
    assert list(request.resource.flag.targets[0].keys) == ["ada"]


def test_more_users_than_a_list_holds_are_refused_with_the_contract_s_limit(
    api: Api, tmp_path: Path
) -> None:
    file = tmp_path / "keys.txt"
    file.write_text("".join(f"{number}\n" for number in range(100_001)))
    refusal = api.refused("segments", "add-users", "beta", "--from-file", str(file))
    assert refusal == "Error: 100001 users; a list holds 100000\n"


def test_the_audit_log_of_one_resource_is_asked_for_by_its_name_of_keys(api: Api) -> None:
    api.answers["GetEnvironment"] = get_environment
    entry = audit_service_pb2.AuditEntry(operation="toggle", resource=FLAG, before_json="{}")
    entry.actor.display_name = "Ada"
    api.answers["ListAuditEntries"] = audit_service_pb2.ListAuditEntriesResponse(entries=[entry])
    row = api.printed("audit", "--resource", "flags/dark").splitlines()[1]
    assert row.split()[:3] == ["Ada", "toggle", "flags/dark"]
    request = api.only("ListAuditEntries")
    assert (request.parent, request.contents) == (ENVIRONMENT, False)
    assert request.filter == f'resource = "{environment().name}/flags/dark"'


def test_the_audit_log_as_json_has_what_was_there_before(api: Api) -> None:
    api.printed("audit", "--json", "--in", "organizations/acme", "--filter", "operation = 'x'")
    request = api.only("ListAuditEntries")
    assert (request.parent, request.contents) == ("organizations/acme", True)
    assert request.filter == "operation = 'x'"


def test_users_and_reports_are_asked_of_the_environment(api: Api) -> None:
    found = json.loads(api.printed("users", "list", "--prefix", "a", "--json"))
    assert found == []
    request = api.only("SearchEndUsers")
    assert (request.parent, request.filter.key_prefix) == (ENVIRONMENT, "a")
    api.printed("reports", "evaluations", "dark", "--by", "hour")
    api.printed("reports", "stale")
    api.printed("reports", "users", "dark", "--variation", "on")
    api.printed("reports", "usage")
    api.printed("experiments", "data", "dark")
    for method in (
        "QueryEvaluations",
        "ListStaleFlags",
        "ListVariationUsers",
        "QueryUsage",
        "GetExperimentData",
    ):
        assert api.only(method).parent == ENVIRONMENT
