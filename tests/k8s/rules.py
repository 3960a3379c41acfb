"""FeatMesh's own rules for rendered manifests: each takes documents and names their faults."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from services.runtime.settings import CLOSE_SECONDS

Manifest = dict[str, Any]

_PROBES = ("startupProbe", "readinessProbe", "livenessProbe")
_PROBED_KINDS = ("Deployment", "StatefulSet", "DaemonSet")
_TEMPLATED_KINDS = (*_PROBED_KINDS, "Job", "ReplicaSet")
_DRAIN = ("FEATMESH_DRAIN_DELAY_SECONDS", "FEATMESH_DRAIN_WINDOW_SECONDS")


def name_of(document: Manifest) -> str:
    """``Deployment featmesh-api``."""
    return f"{document.get('kind')} {document.get('metadata', {}).get('name')}"


def faults_of(
    document: Manifest, *, documents: Sequence[Manifest], secrets: Sequence[Manifest]
) -> list[str]:
    """What ``document`` breaks; ``documents`` are applied with it, ``secrets`` exist already."""
    faults = list(_selected_pods(document, documents))
    pod = _pod(document)
    if pod is not None:
        faults += _pod_faults(document, pod)
        faults += _reference_faults(pod, [*documents, *secrets])
        faults += _drain_faults(pod, documents)
    return faults


def _pod_faults(document: Manifest, pod: Manifest) -> Iterator[str]:
    if pod.get("automountServiceAccountToken") is not False:
        yield "pod: automountServiceAccountToken must be false"
    for container in _containers(pod):
        rules = [*_CONTAINER_RULES]
        if document["kind"] in _PROBED_KINDS and container in pod["containers"]:
            rules.append(_unprobed)
        for rule in rules:
            yield from (f"container {container['name']}: {f}" for f in rule(container, pod))


def _runs_as_root(container: Manifest, pod: Manifest) -> Iterator[str]:
    context = pod.get("securityContext", {}) | container.get("securityContext", {})
    if context.get("runAsNonRoot") is not True:
        yield "runAsNonRoot must be true"
    if not context.get("runAsUser"):
        yield "runAsUser must be a number other than 0"
    if context.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        yield "seccompProfile must be RuntimeDefault"


def _can_escalate(container: Manifest, _: Manifest) -> Iterator[str]:
    context = container.get("securityContext", {})
    if context.get("allowPrivilegeEscalation") is not False:
        yield "allowPrivilegeEscalation must be false"
    if context.get("readOnlyRootFilesystem") is not True:
        yield "readOnlyRootFilesystem must be true"
    if context.get("capabilities", {}).get("drop") != ["ALL"]:
        yield "capabilities must drop ALL"


def _unbounded(container: Manifest, _: Manifest) -> Iterator[str]:
    resources = container.get("resources", {})
    for kind in ("requests", "limits"):
        for resource in ("cpu", "memory"):
            if resource not in resources.get(kind, {}):
                yield f"resources.{kind}.{resource} is missing"


def _unpinned(container: Manifest, _: Manifest) -> Iterator[str]:
    image = container.get("image", "")
    tag = image.rpartition("/")[2].partition(":")[2]
    if "@sha256:" not in image and tag in {"", "latest"}:
        yield f"image {image!r} must name a tag other than latest"


def _unprobed(container: Manifest, _: Manifest) -> Iterator[str]:
    ports = {port["containerPort"] for port in container.get("ports", [])}
    for name in _PROBES:
        probe = container.get(name)
        if probe is None:
            yield f"{name} is missing"
        elif "grpc" in probe and probe["grpc"]["port"] not in ports:
            yield f"{name} asks port {probe['grpc']['port']}, which the container does not open"


_CONTAINER_RULES: tuple[Callable[[Manifest, Manifest], Iterator[str]], ...] = (
    _runs_as_root,
    _can_escalate,
    _unbounded,
    _unpinned,
)


def _reference_faults(pod: Manifest, documents: Sequence[Manifest]) -> Iterator[str]:
    """Config that is read but nowhere defined: such a pod would hang before its start."""
    for kind, name, key in _references(pod):
        keys = _keys(kind, name, documents)
        if keys is None:
            yield f"{kind} {name} is read but not defined"
        elif key is not None and key not in keys:
            yield f"{kind} {name} has no key {key}"


def _references(pod: Manifest) -> Iterator[tuple[str, str, str | None]]:
    """Every non-optional (kind, name, key) that the environment is read from."""
    for container in _containers(pod):
        for source in container.get("envFrom", []):
            yield from _reference(source, config="configMapRef", secret="secretRef")
        for variable in container.get("env", []):
            source = variable.get("valueFrom", {})
            yield from _reference(source, config="configMapKeyRef", secret="secretKeyRef")


def _reference(
    source: Manifest, *, config: str, secret: str
) -> Iterator[tuple[str, str, str | None]]:
    for field, kind in ((config, "ConfigMap"), (secret, "Secret")):
        reference = source.get(field)
        if reference and not reference.get("optional"):
            yield kind, reference["name"], reference.get("key")


def _keys(kind: str, name: str, documents: Sequence[Manifest]) -> set[str] | None:
    for document in documents:
        if document["kind"] == kind and document["metadata"]["name"] == name:
            return {*document.get("data", {}), *document.get("stringData", {})}
    return None


def _drain_faults(pod: Manifest, documents: Sequence[Manifest]) -> Iterator[str]:
    """Kubernetes must not kill a service that is still draining."""
    maps = {name for kind, name, _ in _references(pod) if kind == "ConfigMap"}
    config: dict[str, str] = {}
    for document in documents:
        if document["kind"] == "ConfigMap" and document["metadata"]["name"] in maps:
            config |= document.get("data", {})
    stop = sum(float(config.get(key, 0)) for key in _DRAIN) + CLOSE_SECONDS
    grace = pod.get("terminationGracePeriodSeconds", 30)
    if grace <= stop:
        yield f"terminationGracePeriodSeconds {grace} must be more than a stop's {stop:g} s"


def _selected_pods(document: Manifest, documents: Sequence[Manifest]) -> Iterator[str]:
    """A selector that finds no pod, or a target port that the pod does not name, is a typo."""
    selector = _selector(document)
    if not selector:
        return
    pods = [pod for other in documents if (pod := _pod(other)) and _matches(other, selector)]
    if not pods:
        yield f"selector {selector} finds no pod"
    names = {p.get("name") for pod in pods for c in _containers(pod) for p in c.get("ports", [])}
    for port in document["spec"].get("ports", []):
        target = port.get("targetPort")
        if pods and isinstance(target, str) and target not in names:
            yield f"port {port['port']} goes to {target!r}, which no selected pod opens"


def _selector(document: Manifest) -> dict[str, str]:
    if document["kind"] == "Service":
        return dict(document["spec"].get("selector", {}))
    if document["kind"] in (*_PROBED_KINDS, "PodDisruptionBudget"):
        return dict(document["spec"].get("selector", {}).get("matchLabels", {}))
    return {}


def _matches(document: Manifest, selector: dict[str, str]) -> bool:
    labels: dict[str, str] = document["spec"]["template"].get("metadata", {}).get("labels", {})
    return selector.items() <= labels.items()


def _pod(document: Manifest) -> Manifest | None:
    if document["kind"] in _TEMPLATED_KINDS:
        pod: Manifest = document["spec"]["template"]["spec"]
        return pod
    return None


def _containers(pod: Manifest) -> list[Manifest]:
    return [*pod.get("initContainers", []), *pod["containers"]]
