"""`k8s/` renders with the real kubectl, fits the real schemas, and a broken one is refused."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest

from services.runtime.config import EnvironmentReader
from services.runtime.logs import LEVELS
from services.runtime.settings import read_server
from tests.k8s.__main__ import main
from tests.k8s.rules import Manifest, faults_of, name_of
from tests.k8s.validate import (
    K8S,
    RenderError,
    kustomizations,
    render,
    schema_faults,
    validate,
)

BASE = K8S / "base"
PROBES = ("startupProbe", "readinessProbe", "livenessProbe")


@pytest.fixture(scope="module")
def rendered() -> list[Manifest]:
    return render(BASE)


@pytest.fixture
def documents(rendered: list[Manifest]) -> dict[str, Manifest]:
    return {name_of(document): document for document in copy.deepcopy(rendered)}


@pytest.fixture
def api(documents: dict[str, Manifest]) -> Manifest:
    return documents["Deployment featmesh-api"]


def faults(documents: dict[str, Manifest], name: str) -> list[str]:
    secret = {"kind": "Secret", "metadata": {"name": "featmesh-secrets"}}
    keys = {"FEATMESH_MONGODB_URI": "", "FEATMESH_AMQP_URL": ""}
    return faults_of(
        documents[name], documents=list(documents.values()), secrets=[secret | {"stringData": keys}]
    )


def container(deployment: Manifest) -> Manifest:
    first: Manifest = deployment["spec"]["template"]["spec"]["containers"][0]
    return first


def test_every_kustomization_is_without_fault(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0, capsys.readouterr().out
    assert "ok   " in capsys.readouterr().out


def test_the_base_has_the_three_services_and_what_belongs_to_them(
    documents: dict[str, Manifest],
) -> None:
    names = {name for name in documents if not name.startswith("ConfigMap")}
    assert names == {
        *(f"Deployment featmesh-{service}" for service in ("api", "evaluation", "ingest")),
        *(f"PodDisruptionBudget featmesh-{service}" for service in ("api", "evaluation", "ingest")),
        "Service featmesh-api",
        "Service featmesh-evaluation",
        "Service featmesh-evaluation-headless",
    }


@pytest.mark.parametrize(
    ("service", "listen"),
    [
        ("api", "FEATMESH_API_LISTEN"),
        ("evaluation", "FEATMESH_EVALUATION_LISTEN"),
        ("ingest", "FEATMESH_INGEST_LISTEN"),
    ],
)
def test_the_services_accept_the_configuration_and_listen_where_the_probes_ask(
    documents: dict[str, Manifest], service: str, listen: str
) -> None:
    config = next(d["data"] for d in documents.values() if d["kind"] == "ConfigMap")
    reader = EnvironmentReader(config)
    address = read_server(reader, listen, 1).listen
    reader.choice("FEATMESH_LOG_LEVEL", "", LEVELS)
    reader.choice("FEATMESH_LOG_FORMAT", "", ("text", "json"))
    reader.finish()
    pod = container(documents[f"Deployment featmesh-{service}"])
    assert address.host == "0.0.0.0"
    assert {pod[probe]["grpc"]["port"] for probe in PROBES} == {address.port}


def test_metrics_are_served_where_the_annotations_send_prometheus(
    documents: dict[str, Manifest],
) -> None:
    config = next(d["data"] for d in documents.values() if d["kind"] == "ConfigMap")
    listen = EnvironmentReader(config).optional_address("FEATMESH_METRICS_LISTEN")
    assert listen is not None
    deployments = [each for each in documents.values() if each["kind"] == "Deployment"]
    assert len(deployments) == 3
    for deployment in deployments:
        annotations = deployment["spec"]["template"]["metadata"]["annotations"]
        assert annotations["prometheus.io/scrape"] == "true"
        assert annotations["prometheus.io/path"] == "/metrics"
        assert annotations["prometheus.io/port"] == str(listen.port)
        assert listen.port in {port["containerPort"] for port in container(deployment)["ports"]}


def test_the_base_names_no_namespace(documents: dict[str, Manifest]) -> None:
    assert not [n for n, document in documents.items() if "namespace" in document["metadata"]]


def test_a_misspelt_field_is_refused_for_each_supported_release(api: Manifest) -> None:
    api["spec"]["replica"] = 2
    assert len(schema_faults(api)) == 2
    assert "replica" in schema_faults(api)[0]


def test_a_kind_without_a_schema_is_a_fault() -> None:
    assert schema_faults({"apiVersion": "example.com/v1", "kind": "Unknown"})


def test_a_container_that_may_run_as_root_is_refused(
    documents: dict[str, Manifest], api: Manifest
) -> None:
    container(api)["securityContext"] |= {"runAsNonRoot": False, "runAsUser": 0}
    assert faults(documents, "Deployment featmesh-api") == [
        "container service: runAsNonRoot must be true",
        "container service: runAsUser must be a number other than 0",
    ]


@pytest.mark.parametrize("field", ["securityContext", "resources", "livenessProbe"])
def test_a_container_that_lacks_a_safeguard_is_refused(
    documents: dict[str, Manifest], api: Manifest, field: str
) -> None:
    del container(api)[field]
    assert faults(documents, "Deployment featmesh-api")


@pytest.mark.parametrize(
    "image", ["featmesh/api", "featmesh/api:latest", "registry:5000/featmesh/api"]
)
def test_an_image_without_a_fixed_tag_is_refused(
    documents: dict[str, Manifest], api: Manifest, image: str
) -> None:
    container(api)["image"] = image
    assert "must name a tag" in faults(documents, "Deployment featmesh-api")[0]


def test_an_image_by_digest_is_accepted(documents: dict[str, Manifest], api: Manifest) -> None:
    container(api)["image"] = "registry:5000/featmesh/api@sha256:" + "0" * 64
    assert not faults(documents, "Deployment featmesh-api")


def test_a_secret_key_that_nobody_defines_is_refused(
    documents: dict[str, Manifest], api: Manifest
) -> None:
    container(api)["env"][0]["valueFrom"]["secretKeyRef"]["key"] = "FEATMESH_MONGO_URI"
    assert faults(documents, "Deployment featmesh-api") == [
        "Secret featmesh-secrets has no key FEATMESH_MONGO_URI"
    ]


def test_a_config_map_that_is_not_applied_is_refused(
    documents: dict[str, Manifest], api: Manifest
) -> None:
    container(api)["envFrom"][0]["configMapRef"]["name"] = "elsewhere"
    assert "ConfigMap elsewhere is read but not defined" in faults(
        documents, "Deployment featmesh-api"
    )


def test_a_grace_period_that_ends_before_a_stop_is_refused(
    documents: dict[str, Manifest], api: Manifest
) -> None:
    api["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = 25
    assert faults(documents, "Deployment featmesh-api") == [
        "terminationGracePeriodSeconds 25 must be more than a stop's 25 s"
    ]


def test_a_probe_of_a_port_that_is_not_open_is_refused(
    documents: dict[str, Manifest], api: Manifest
) -> None:
    container(api)["livenessProbe"]["grpc"]["port"] = 7999
    assert "livenessProbe asks port 7999" in faults(documents, "Deployment featmesh-api")[0]


def test_a_service_that_selects_no_pod_is_refused(documents: dict[str, Manifest]) -> None:
    documents["Service featmesh-api"]["spec"]["selector"] = {"app.kubernetes.io/name": "apo"}
    assert "finds no pod" in faults(documents, "Service featmesh-api")[0]


def test_a_service_port_that_no_pod_opens_is_refused(documents: dict[str, Manifest]) -> None:
    documents["Service featmesh-api"]["spec"]["ports"][0]["targetPort"] = "http"
    assert "'http', which no selected pod opens" in faults(documents, "Service featmesh-api")[0]


def test_an_overlay_is_found_and_a_component_is_not(tmp_path: Path) -> None:
    files = {
        "base": "resources: [part]",
        "base/part": "resources: []",
        "overlays/local": "resources: [../../base]",
        "components/extra": "kind: Component",
    }
    for folder, text in files.items():
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / folder / "kustomization.yaml").write_text(text)
    found = kustomizations(tmp_path)
    assert [str(f.relative_to(tmp_path)) for f in found] == ["base", "overlays/local"]


def test_a_fault_is_printed_and_ends_the_command_with_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "kustomization.yaml").write_text("resources: [pod.yaml]")
    (tmp_path / "pod.yaml").write_text(
        "{apiVersion: v1, kind: Service, metadata: {name: lost}, spec: {portz: []}}"
    )
    assert main([str(tmp_path)]) == 1
    printed = capsys.readouterr().out
    assert "Service lost" in printed
    assert "'portz' was unexpected" in printed


def test_a_kustomization_that_does_not_render_says_why(tmp_path: Path) -> None:
    (tmp_path / "kustomization.yaml").write_text("resources: [missing.yaml]")
    with pytest.raises(RenderError, match=r"missing\.yaml"):
        validate(tmp_path)
    assert main([str(tmp_path)]) == 1
