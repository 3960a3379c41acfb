"""Runs the command line as `python -m featmesh_cli`."""

from __future__ import annotations

from featmesh_cli.main import main

main()
