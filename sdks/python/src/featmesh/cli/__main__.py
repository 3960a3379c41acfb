"""Runs the command line as `python -m featmesh.cli`."""

from __future__ import annotations

from featmesh.cli.main import main

main()
