from __future__ import annotations

from functools import partial

import pytest

from services.runtime.settings import ServerKind
from tests.unit.runtime.servers import Serving, serving_with


@pytest.fixture(params=list(ServerKind), ids=str)
def kind(request: pytest.FixtureRequest) -> ServerKind:
    """Every server in turn."""
    found: ServerKind = request.param
    return found


@pytest.fixture
def serving(kind: ServerKind) -> Serving:
    """Serves with each of them."""
    return partial(serving_with, kind)
