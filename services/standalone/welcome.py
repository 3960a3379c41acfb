"""What a person is told once everything serves."""

from __future__ import annotations

import os
from pathlib import Path

from services.standalone.credentials import Credentials
from services.standalone.demo_data import LIVE_FLAG


def demo_text(credentials: Credentials, environment_file: Path) -> str:
    """Addresses, keys, and three lines to paste that show a flag changing live."""
    source = _shown(environment_file)
    return f"""
FeatMesh is running: demo / shop / production

  management API      {credentials.api}
  evaluation API      {credentials.evaluation}
  environment         {credentials.environment}
  SDK key (server)    {credentials.server_key}
  SDK key (client)    {credentials.client_key}
  management token    {credentials.token}

See a flag change live. Open two terminals in {Path.cwd()} and paste

  1. in both:         source {source}
  2. in the first:    featmesh watch {LIVE_FLAG}
  3. in the second:   featmesh flags toggle {LIVE_FLAG}

Ctrl-C stops FeatMesh; its data stays in {_shown(environment_file.parent)}."""


def plain_text(api: str, evaluation: str, token_file: Path) -> str:
    """Addresses, and where the management token is."""
    return f"""
FeatMesh is running

  management API      {api}
  evaluation API      {evaluation}
  management token    in {_shown(token_file)}

Ctrl-C stops it."""


def _shown(path: Path) -> str:
    """As one would type it: relative when that is shorter."""
    relative = os.path.relpath(path)
    return relative if len(relative) < len(str(path)) else str(path)
