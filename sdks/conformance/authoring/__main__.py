"""Writes the vectors: `python -m sdks.conformance.authoring`, from the repository's root."""

from __future__ import annotations

import sys
from pathlib import Path

from sdks.conformance.authoring.files import rendered

ROOT = Path(__file__).parents[1]


def main() -> None:
    """Writes every file; files that nothing renders any more are removed."""
    files = rendered()
    for stale in set((ROOT / "v1").glob("*.json")) - {ROOT / path for path in files}:
        stale.unlink()
    for path, text in files.items():
        (ROOT / path).write_text(text, encoding="utf-8")
    sys.stdout.write(f"wrote {len(files)} files below {ROOT}\n")


if __name__ == "__main__":
    main()
