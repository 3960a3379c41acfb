"""Logs: one line per event on stderr, as text for people or JSON for collectors."""

from __future__ import annotations

import json
import logging
import os
import sys
from datetime import UTC, datetime

from services.runtime.config import EnvironmentReader

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


class JsonFormatter(logging.Formatter):
    """Time (UTC), level, logger, message, and the exception if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """One JSON object on one line."""
        entry = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False)


def configure_logs() -> None:
    """Reads FEATMESH_LOG_FORMAT and FEATMESH_LOG_LEVEL; raises `ConfigError`."""
    reader = EnvironmentReader(os.environ)
    style = reader.choice("FEATMESH_LOG_FORMAT", "text", ("text", "json"))
    level = reader.choice("FEATMESH_LOG_LEVEL", "INFO", LEVELS)
    reader.finish()
    handler = logging.StreamHandler(sys.stderr)
    text = logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    handler.setFormatter(JsonFormatter() if style == "json" else text)
    logging.basicConfig(level=level, handlers=[handler], force=True)
