"""Networks that delay, throttle, drop and half-close, between SDKs, services and broker."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from tests.chaos.faults.fault import Fault
from tests.chaos.stage import Stage
from tests.chaos.streams import SILENCE_SECONDS
from tests.support.proxy import TcpProxy

_DELAY: Final = 0.15
_RATE: Final = 50_000
_TIMES: Final = 4


def _proxies(stage: Stage) -> list[TcpProxy]:
    """Between SDKs and evaluation, and between services and broker."""
    services = stage.cluster.services
    gates = [each.gate for each in stage.cluster.evaluations]
    return [*gates, *(each.broker for each in services)]


async def _worsen(stage: Stage, what: str, change: Callable[[TcpProxy], None]) -> None:
    for proxy in _proxies(stage):
        change(proxy)
    stage.note(what)


async def delays(stage: Stage) -> None:
    """Also towards MongoDB, where each piece takes a fifth of that."""

    def delay(proxy: TcpProxy) -> None:
        proxy.weather.delay = _DELAY

    await _worsen(stage, "packets are delayed", delay)
    for node in stage.cluster.mongo.nodes:
        node.proxy.weather.delay = _DELAY / 5
    await stage.hold(8)
    stage.cluster.calm()


async def throttles(stage: Stage) -> None:
    """Slow, but everything arrives."""

    def throttle(proxy: TcpProxy) -> None:
        proxy.weather.rate = _RATE

    await _worsen(stage, "links are slow", throttle)
    await stage.hold(8)
    stage.cluster.calm()


async def drops(stage: Stage) -> None:
    """Connections stay open and nothing comes through, for longer than SDKs take for silence."""
    await _worsen(stage, "every packet is dropped", TcpProxy.hold)
    await stage.hold(2 * SILENCE_SECONDS, at_least=1.2 * SILENCE_SECONDS)
    stage.cluster.calm()


async def answers_lost(stage: Stage) -> None:
    """Writes are committed and nobody hears of it: the operators ask again."""
    for _ in range(_TIMES):
        for api in stage.cluster.apis:
            api.gate.mute()
        await stage.hold(1, at_least=0.5)
        for api in stage.cluster.apis:
            await api.gate.cut_links()
            api.gate.release()
        stage.note("answers of api lost, and its connections")
        await stage.hold(1)


async def half_closes(stage: Stage) -> None:
    """First those who connected hear the end of the others, then the other way round."""
    for near in (True, False):
        await _worsen(stage, "connections are half closed", partial(TcpProxy.half_close, near=near))
        await stage.hold(4)


FAULTS: Final = (
    Fault("network delays", "150 ms on every packet of SDKs and broker, 30 ms of MongoDB.", delays),
    Fault("network throttles", "50 kB/s on every link of SDKs and broker.", throttles),
    Fault("network drops", "Nothing comes through for 12 seconds.", drops),
    Fault(
        "answers lost", "Writes reach `api`, its answers reach nobody; four times.", answers_lost
    ),
    Fault("network half-closes", "Connections are closed in one direction.", half_closes),
)
