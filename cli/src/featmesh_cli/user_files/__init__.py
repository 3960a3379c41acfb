"""End users in files: JSON lines and CSV, read line by line and written as they come."""

from __future__ import annotations

from featmesh_cli.user_files.comma_separated import CsvWriter, read_csv
from featmesh_cli.user_files.json_lines import JsonLinesWriter, read_json_lines
from featmesh_cli.user_files.lines import Lines, Refused

__all__ = [
    "CsvWriter",
    "JsonLinesWriter",
    "Lines",
    "Refused",
    "read_csv",
    "read_json_lines",
]
