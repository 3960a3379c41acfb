"""What opens the demo: the services show it once, so it is kept in the data folder."""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Final

from services.standalone.data_folder import DataFolder
from services.standalone.errors import StandaloneError

CREDENTIALS: Final = "credentials.json"
ENVIRONMENT: Final = "env"


@dataclass(frozen=True, slots=True)
class Credentials:
    """Addresses as of the last start, the management token, and what the demo made.

    An empty text is not made yet.
    """

    token: str
    api: str = ""
    evaluation: str = ""
    environment: str = ""
    server_key: str = ""
    client_key: str = ""


def load_credentials(folder: DataFolder) -> Credentials | None:
    """Those of an earlier start; raises `StandaloneError` for a damaged file."""
    text = folder.read(CREDENTIALS)
    if text is None:
        return None
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict) or not found.get("token"):
        raise StandaloneError(
            f"{folder.path / CREDENTIALS} cannot be read: bring it back from a backup, or "
            "delete the data folder (FEATMESH_DATA_DIR names another) and start anew"
        )
    return Credentials(
        **{field.name: str(found.get(field.name, "")) for field in fields(Credentials)}
    )


def save_credentials(folder: DataFolder, credentials: Credentials) -> None:
    """Keeps them for the next start."""
    folder.write(CREDENTIALS, json.dumps(asdict(credentials), indent=2) + "\n")


def save_environment(folder: DataFolder, credentials: Credentials) -> Path:
    """A file for ``source`` that points the CLI and the SDK at this installation."""
    variables = {
        "FEATMESH_API": credentials.api,
        "FEATMESH_EVALUATION": credentials.evaluation,
        "FEATMESH_TOKEN": credentials.token,
        "FEATMESH_ENVIRONMENT": credentials.environment,
        "FEATMESH_SDK_KEY": credentials.server_key,
        "FEATMESH_CLIENT_KEY": credentials.client_key,
    }
    lines = [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    commands = Path(sys.executable).parent
    lines.append(f'export PATH={shlex.quote(str(commands))}:"$PATH"')
    folder.write(ENVIRONMENT, "\n".join(lines) + "\n")
    return folder.path / ENVIRONMENT
