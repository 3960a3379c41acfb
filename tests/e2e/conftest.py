"""One mesh of each kind for all end-to-end tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.mesh import Mesh, standalone, three_services
from tests.support.mongodb import fresh_database_name


@pytest.fixture(scope="session", params=["three-services", "standalone"])
def mesh(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mesh]:
    """Serving; the test fails if a service does not stop cleanly afterwards."""
    folder = tmp_path_factory.mktemp(str(request.param))
    if request.param == "standalone":
        running = standalone(folder)
    else:
        running = three_services(
            folder,
            mongodb=request.getfixturevalue("mongodb_uri"),
            database=fresh_database_name(),
            amqp=request.getfixturevalue("amqp_url"),
        )
    try:
        running.start()
        yield running
    finally:
        codes = running.stop()
    assert codes == [0] * len(codes), "every service stops cleanly on SIGTERM"
