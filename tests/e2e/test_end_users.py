"""An operator builds a target list, brings users in and out, and reads reports."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

import featmesh
from featmesh.management.v1 import (
    flag_service_pb2,
    flag_service_pb2_grpc,
    segment_service_pb2,
    segment_service_pb2_grpc,
)
from tests.e2e.command_line import FEATMESH, Operator, operator_of
from tests.support.flags import boolean_flag, segment
from tests.support.mesh import Mesh, call
from tests.support.places import Place, make_place
from tests.support.waiting import PATIENCE, eventually

# What the commands do does not depend on how many processes the services are.
pytestmark = pytest.mark.parametrize("mesh", ["three-services"], indirect=True)

USERS = [
    {"key": "ada", "name": "Ada", "attributes": {"plan": "pro", "age": 36, "groups": ["a"]}},
    {"key": "bob", "name": "Bob", "attributes": {"plan": "pro"}},
    {"key": "eve", "name": "Eve", "attributes": {"plan": "free", "note": '=1+1, "q"'}},
]


@pytest.fixture(scope="module")
def channel(mesh: Mesh) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(mesh.api) as opened:
        yield opened


@pytest.fixture(scope="module")
def place(mesh: Mesh, channel: grpc.Channel) -> Place:
    made = make_place(mesh, channel, "end-users")
    flags = flag_service_pb2_grpc.FlagServiceStub(channel)
    request = flag_service_pb2.CreateFlagRequest(
        parent=made.environment, resource=boolean_flag("gift")
    )
    call(flags.CreateFlag, request, mesh)
    segments = segment_service_pb2_grpc.SegmentServiceStub(channel)
    create = segment_service_pb2.CreateSegmentRequest(
        parent=made.environment, resource=segment("beta", included=["bob"])
    )
    call(segments.CreateSegment, create, mesh)
    return made


@pytest.fixture(scope="module")
def operator(mesh: Mesh, place: Place, tmp_path_factory: pytest.TempPathFactory) -> Operator:
    """With three users imported."""
    made = operator_of(mesh, place)
    file = tmp_path_factory.mktemp("users") / "users.jsonl"
    file.write_text("".join(json.dumps(each) + "\n" for each in USERS))
    told = made.run("users", "import", str(file))
    assert told == "Imported: 3 new, 0 changed, 0 as they were, 0 refused.\n"
    again = made.run("users", "import", str(file))
    assert again == "Imported: 0 new, 0 changed, 3 as they were, 0 refused.\n"
    return made


def keys(operator: Operator, *options: str) -> list[str]:
    return operator.run("users", "list", "--keys-only", *options).splitlines()


def test_users_are_found_by_what_an_operator_knows_of_them(operator: Operator) -> None:
    assert keys(operator) == ["ada", "bob", "eve"]
    assert keys(operator, "--prefix", "e") == ["eve"]
    assert keys(operator, "--name", "AD") == ["ada"]
    assert keys(operator, "--attribute", "plan=pro") == ["ada", "bob"]
    assert keys(operator, "--attribute", "plan=pro", "--attribute", "age=36") == ["ada"]
    assert keys(operator, "--attribute", "groups=a", "--limit", "1") == ["ada"]
    (user,) = operator.json("users", "list", "--prefix", "ada", "--json")
    assert user["context"]["attributes"]["age"] == {"number_value": 36.0}
    properties = operator.run("users", "properties").splitlines()
    assert properties[-1].split() == ["plan", "string", "pro,", "free"]


def test_found_users_become_members_of_a_segment(operator: Operator) -> None:
    found = operator.run("users", "list", "--attribute", "plan=pro", "--keys-only")
    told = piped(operator, found, "segments", "add-users", "beta", "--from-file", "-")
    assert told.startswith("1 users added to segment beta, 1 were there already (revision ")
    included = operator.json("segments", "get", "beta")["segment"]["included"]
    assert included == ["bob", "ada"]
    (entry, *_) = operator.json("audit", "--resource", "segments/beta", "--json")
    assert entry["operation"] == "update"
    again = piped(operator, found, "segments", "add-users", "beta", "--from-file", "-")
    assert again.startswith("0 users added")
    shown = operator.json("users", "show", "ada", "--json")
    assert [(each["segment_key"], each["listed"]) for each in shown["segments"]] == [("beta", True)]


def test_a_user_added_to_a_flag_is_served_its_variation(operator: Operator) -> None:
    def served() -> str:
        (flag,) = operator.json("users", "show", "eve", "--json")["flags"]
        return str(flag["result"]["variation_id"])

    other = "off" if served() == "on" else "on"
    told = operator.run("flags", "add-users", "gift", "--variation", other, "--user", "eve")
    assert told.startswith(f"1 users added to targets of gift for {other}")
    assert served() == other
    refusal = operator.refused(
        "flags",
        "add-users",
        "gift",
        "--variation",
        "on" if other == "off" else "off",
        "--user",
        "eve",
    )
    assert refusal.startswith(f"Error: 1 users are targeted with {other} already:")
    unknown = operator.refused("flags", "add-users", "gift", "--variation", "x", "--user", "eve")
    assert "has no variation 'x'" in unknown
    none = operator.refused("flags", "add-users", "gift", "--variation", other, code=2)
    assert "no users: give --user or --from-file" in none


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_users_go_from_one_environment_to_another_as_they_were(
    mesh: Mesh, channel: grpc.Channel, operator: Operator, tmp_path: Path, ending: str
) -> None:
    file, again = tmp_path / f"users.{ending}", tmp_path / f"again.{ending}"
    operator.run("users", "export", "--to", str(file))
    other = operator_of(mesh, make_place(mesh, channel, f"copy-{ending}"))
    told = other.run("users", "import", str(file))
    assert told == "Imported: 3 new, 0 changed, 0 as they were, 0 refused.\n"
    other.run("users", "export", "--to", str(again))
    assert again.read_bytes() == file.read_bytes()
    found = other.json("users", "list", "--json")
    assert found == operator.json("users", "list", "--json")


def test_refused_lines_are_reported_and_the_others_are_taken(
    mesh: Mesh, channel: grpc.Channel, tmp_path: Path
) -> None:
    operator = operator_of(mesh, make_place(mesh, channel, "refused"))
    file = tmp_path / "users.csv"
    file.write_text(f"key,name\nada,Ada\n,Nobody\n{'x' * 513},Long\nbroken\nbob,Bob\n")
    dry = run(operator, "users", "import", str(file), "--dry-run")
    assert dry.stdout == "Would import: 2 new, 0 changed, 0 as they were, 3 refused.\n"
    assert keys(operator) == []
    done = run(operator, "users", "import", str(file))
    assert done.returncode == 1
    assert done.stdout == "Imported: 2 new, 0 changed, 0 as they were, 3 refused.\n"
    assert done.stderr.splitlines() == [
        "Error: 3 lines refused:",
        "  line 3: key: is required",
        "  line 4: key: has 513 bytes; at most 512",
        "  line 5: line: has 1 cells; the header has 2",
    ]
    report = json.loads(run(operator, "users", "import", str(file), "--json").stdout)
    assert (report["unchanged"], report["refused"]) == ("2", "3")
    assert [each["line"] for each in report["refusals"]] == ["3", "4", "5"]
    assert keys(operator) == ["ada", "bob"]


def test_an_import_at_a_terminal_shows_how_far_it_is(operator: Operator, tmp_path: Path) -> None:
    file = tmp_path / "users.jsonl"
    file.write_text("".join(json.dumps(each) + "\n" for each in USERS))
    done = run(operator, "users", "import", str(file), FORCE_COLOR="1", COLUMNS="80")
    assert done.stdout == "Imported: 0 new, 0 changed, 3 as they were, 0 refused.\n"
    assert "Importing" in done.stderr
    assert "100%" in done.stderr
    assert "3 users" in done.stderr


def test_an_environment_shows_how_long_events_are_kept(operator: Operator, place: Place) -> None:
    assert "30 days" in operator.run("environments", "show")
    told = operator.run("environments", "update", place.environment, "--retention-days", "7")
    assert "7 days" in told
    assert operator.json("environments", "show", "--json")["retention_days"] == 7
    refusal = operator.refused("environments", "update", code=2)
    assert "nothing to change" in refusal


def test_what_sdks_reported_can_be_read_as_reports(
    mesh: Mesh, operator: Operator, place: Place
) -> None:
    ada = featmesh.Context("ada", "Ada", {})
    with featmesh.Client(mesh.evaluation, place.server_key) as client:
        assert client.wait_until_ready(PATIENCE)
        client.boolean_value("gift", ada, default=False)
        client.track("bought", ada, 5)
        assert client.flush(PATIENCE)

    def evaluations() -> Any:
        return operator.json("reports", "evaluations", "gift", "--by", "minute", "--json")["counts"]

    (count,) = eventually(evaluations)
    assert count["evaluations"] == "1"
    table = operator.run(
        "reports", "evaluations", "gift", "--users", "--time-zone", "Europe/Berlin"
    ).splitlines()
    assert table[0].split()[-3:] == ["VARIATION", "EVALUATIONS", "USERS"]
    assert table[-1].split()[0] == "total"
    assert table[-1].split()[-2:] == ["1", "1"]

    variation = count["variation_id"]
    listed = operator.run("reports", "users", "gift", "--variation", variation).splitlines()
    assert listed[1].split()[:2] == ["ada", "Ada"]
    only = operator.run("reports", "users", "gift", "--variation", variation, "--keys-only")
    assert only == "ada\n"
    usage = operator.json("reports", "usage", "--json")["total"]
    assert (usage["evaluations"], usage["events"], usage["active_users"]) == ("1", "1", "1")
    assert operator.run("reports", "stale") == "No stale flags.\n"
    assert operator.run("experiments", "data", "gift", "--event", "bought") == "No exposures.\n"
    flag = operator.json("users", "show", "ada", "--json")["flags"][0]
    assert flag["last_variation_id"] == variation
    refusal = operator.refused("reports", "evaluations", "gift", "--time-zone", "Nowhere")
    assert "time_zone: is 'Nowhere', which is no IANA time zone" in refusal


def piped(operator: Operator, text: str, *arguments: str) -> str:
    """What a command prints that reads this text."""
    done = run(operator, *arguments, text=text)
    assert done.returncode == 0, done.stderr
    return done.stdout


def run(
    operator: Operator, *arguments: str, text: str = "", **variables: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [FEATMESH, *arguments],
        env=operator.environment(**variables),
        input=text,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
