from __future__ import annotations

import pytest

from tests.contract.transport.adapters import ADAPTERS, Serve


@pytest.fixture(params=sorted(ADAPTERS))
def serve(request: pytest.FixtureRequest) -> Serve:
    """Every adapter in turn."""
    return ADAPTERS[request.param]
