"""Fixtures that are shared by the whole run must be registered once, here."""

from __future__ import annotations

pytest_plugins = ["tests.support.rabbitmq"]
