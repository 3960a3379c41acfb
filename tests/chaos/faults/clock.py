"""A clock that is set back while changes are written."""

from __future__ import annotations

from typing import Final

from tests.chaos.cluster import Service
from tests.chaos.faults.fault import Fault
from tests.chaos.stage import Stage
from tests.chaos.waiting import until

_BACK_SECONDS: Final = 3_600
_PROGRAM: Final = "tests.chaos.api_with_clock"


async def set_back(stage: Stage) -> None:
    """Both `api` run an hour behind; revisions go on from where they were."""
    before = {site.truth.name: site.truth.revision for site in stage.sites}
    for api in stage.cluster.apis:
        await _restart(api, _PROGRAM, back=_BACK_SECONDS)
    stage.note(f"the clock of api is set back by {_BACK_SECONDS} s")

    async def all_wrote() -> bool:
        return all(site.truth.revision > before[site.truth.name] for site in stage.sites)

    await until(all_wrote, "changes are written with a clock that is behind")
    await stage.hold(5)
    for api in stage.cluster.apis:
        await _restart(api, "", back=0)


async def _restart(api: Service, program: str, *, back: int) -> None:
    await api.stop()
    api.program(program, CHAOS_CLOCK_BACK_SECONDS=str(back))
    await api.serving()


FAULTS: Final = (Fault("clock set back", "The clock of `api` is set back by an hour.", set_back),)
