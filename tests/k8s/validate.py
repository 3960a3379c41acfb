"""Render a kustomization with kubectl and collect every fault of every document in it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml

from tests.k8s.rules import Manifest, faults_of, name_of

K8S = Path(__file__).resolve().parents[2] / "k8s"

# The oldest release that we support and the newest that we know: a field that came later than
# the first, or went before the second, is a fault.
KUBERNETES_VERSIONS = ("1.30", "1.37")

_RENDER_SECONDS = 60
_FILES = ("kustomization.yaml", "kustomization.yml", "Kustomization")


class RenderError(Exception):
    """A kustomization does not render; the text is kubectl's."""


@dataclass(frozen=True, slots=True)
class Report:
    """One rendered document, as ``Kind name``, and what is wrong with it."""

    document: str
    faults: tuple[str, ...]


def kustomizations(root: Path) -> list[Path]:
    """Every folder under ``root`` that renders by itself: no Components, no part of another."""
    files = [path for name in _FILES for path in root.rglob(name)]
    specs = {path.parent.resolve(): _load(path) for path in files}
    parts = {
        (folder / entry).resolve()
        for folder, spec in specs.items()
        for entry in spec.get("resources", [])
        if (folder / entry).resolve().is_relative_to(folder)
    }
    return sorted(
        folder
        for folder, spec in specs.items()
        if spec.get("kind") != "Component" and folder not in parts
    )


def validate(folder: Path) -> list[Report]:
    """Render ``folder`` and check each document against the schemas and our rules.

    Raises:
        RenderError: kubectl is missing or cannot render the folder.
    """
    documents = render(folder)
    secrets = _secret_examples(folder)
    return [
        Report(
            name_of(document),
            (*schema_faults(document), *faults_of(document, documents=documents, secrets=secrets)),
        )
        for document in documents
    ]


def render(folder: Path) -> list[Manifest]:
    """The documents that ``kubectl apply -k folder`` would send."""
    command = [_kubectl(), "kustomize", str(folder)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_RENDER_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise RenderError(f"kubectl did not render it within {_RENDER_SECONDS} s") from None
    if done.returncode:
        raise RenderError(done.stderr.strip())
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def schema_faults(document: Manifest) -> list[str]:
    """What the strict schemas of each supported Kubernetes release refuse."""
    faults = (_schema_fault(document, version) for version in KUBERNETES_VERSIONS)
    return [fault for fault in faults if fault]


def _schema_fault(document: Manifest, version: str) -> str | None:
    try:
        kubernetes_validate.validate(document, version, strict=True)
    except kubernetes_validate.ValidationError as error:
        path = ".".join(str(step) for step in error.absolute_path)
        return f"Kubernetes {version}: {path or 'document'}: {error.message}"
    except kubernetes_validate.SchemaNotFoundError as error:
        return error.message  # type: ignore[no-any-return] # the library carries no types
    return None


def _secret_examples(folder: Path) -> list[Manifest]:
    """The Secrets that operators create: ``secret.example.yaml`` here and in the base."""
    files = {folder / "secret.example.yaml", K8S / "base" / "secret.example.yaml"}
    return [_load(path) for path in sorted(files) if path.is_file()]


def _load(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text(encoding="utf-8")) or {}


def _kubectl() -> str:
    own = Path(sys.executable).with_name("kubectl")
    found = str(own) if own.is_file() else shutil.which("kubectl")
    if not found:
        raise RenderError("kubectl is missing: run `make install`, or put kubectl on the PATH")
    return found
