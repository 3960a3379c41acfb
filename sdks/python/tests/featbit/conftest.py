"""FeatBit's SDK logs every evaluation; ten thousands of lines would hide what failed."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from fbclient.utils import log


@pytest.fixture(scope="package", autouse=True)
def quiet_featbit() -> Iterator[None]:
    before = log.level
    log.setLevel(logging.CRITICAL)
    yield
    log.setLevel(before)
