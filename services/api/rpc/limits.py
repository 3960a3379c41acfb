"""Every limit of the management API, as the protos' comments state them; sizes are bytes."""

from __future__ import annotations

from typing import Final

KEY_PATTERN: Final = r"[a-zA-Z0-9._-]{1,128}"

ID_BYTES: Final = 64
NAME_BYTES: Final = 256
DESCRIPTION_BYTES: Final = 4_096
TAGS: Final = 64
TAG_BYTES: Final = 64
COMMENT_BYTES: Final = 1_024
REQUEST_ID_BYTES: Final = 64
RESOURCE_BYTES: Final = 256
TOKEN_BYTES: Final = 4_096

VARIATIONS: Final = 100
VALUE_BYTES: Final = 65_536
JSON_DEPTH: Final = 64
SALT_BYTES: Final = 128
PREREQUISITES: Final = 50
TARGETS: Final = 100
CONTEXT_KEYS: Final = 100_000
CONTEXT_KEY_BYTES: Final = 512
RULES: Final = 200
SHARES: Final = 100
CONDITIONS: Final = 50
ATTRIBUTE_BYTES: Final = 128
OPERANDS: Final = 10_000
OPERAND_BYTES: Final = 4_096

ITEM_BYTES: Final = 4 * 1024 * 1024
"""One flag or segment, encoded."""

ITEM_REQUEST_BYTES: Final = ITEM_BYTES + 64 * 1024
"""A request that holds one item with its name, description, tags and comment."""

IMPORTED_ITEMS: Final = 5_000
"""Of each kind."""

IMPORT_REQUEST_BYTES: Final = 16 * 1024 * 1024

PAGE_SIZE: Final = 100
MAX_PAGE_SIZE: Final = 500

QUERY_DAYS: Final = 93

REPORT_INTERVALS: Final = 1_500
REPORT_DAYS: Final = 1_830
MINUTES_HOURS: Final = 48
"""How long roll-ups of minutes are kept."""

ZONE_BYTES: Final = 64
STALE_DAYS: Final = 30
MAX_STALE_DAYS: Final = 365

RETENTION_DAYS: Final = 3_650

EVENT_NAME_BYTES: Final = 128
FILTERED_ATTRIBUTES: Final = 5
IMPORTED_USERS: Final = 1_000
"""In one chunk."""

IMPORT_CHUNK_BYTES: Final = 4 * 1024 * 1024
REFUSALS: Final = 1_000
"""Refused users that an import names; of more only the number is said."""

EXPORT_CHUNK_BYTES: Final = 1024 * 1024
"""A chunk of an export ends with the user that reaches it."""

DEAD_LETTERS: Final = 1_000
MESSAGE_ID_BYTES: Final = 255
