"""The loop that keeps a stream open for as long as the client lives."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import grpc

from featmesh.client.backoff import Backoff
from featmesh.client.options import Options
from featmesh.client.silence import IdleWatchdog
from featmesh.client.status import Freshness
from featmesh.client.timing import Timing
from featmesh.errors import ProtocolError
from featmesh.sync.v1 import sync_pb2

logger = logging.getLogger(__name__)

MAX_HINT = 300.0
"""Seconds; a server may not send anybody away for longer."""

_REFUSED = frozenset({grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED})

Frame = sync_pb2.SyncDefinitionsResponse | sync_pb2.SyncEvaluationsResponse
FrameT = TypeVar("FrameT", bound=Frame)
FrameT_co = TypeVar("FrameT_co", bound=Frame, covariant=True)


class SyncCall(Protocol[FrameT_co]):
    """An open stream: frames until it ends, or until someone cancels it."""

    def __iter__(self) -> Iterator[FrameT_co]: ...

    def cancel(self) -> object:
        """Ends it; safe from any thread."""


class Feed(Protocol[FrameT]):
    """What a loop streams, and where that goes."""

    @property
    def revision(self) -> int:
        """Revision that is held; 0 for none."""

    def open(self, *, from_nothing: bool) -> SyncCall[FrameT]:
        """Opens a stream from what is held on, and forgets what an earlier one left unfinished."""

    def take(self, frame: FrameT) -> frozenset[str] | None:
        """Takes a frame with a change set.

        Returns:
            None while parts are missing; with the last one, all is applied and these are
            the keys of the flags that may answer differently.

        Raises:
            ProtocolError: The frame contradicts what came before; nothing was applied.
        """


@dataclass(frozen=True, slots=True)
class _Ending:
    """How a stream ended: in how many seconds the server wants us back, and if it refused."""

    hint: float | None = None
    refused: bool = False


@dataclass(frozen=True, slots=True)
class Applied:
    """A revision, and when it was applied (seconds by the monotonic clock)."""

    revision: int
    at: float


NOTHING = Applied(0, 0.0)
"""Before the first change set."""


class SyncLoop(Generic[FrameT]):
    """Opens a stream, applies what it brings, and opens the next one when it ends.

    Nothing that a server sends ends the loop: a contradiction starts over from nothing
    while what is held is still served. A stream on which nothing comes for as long as
    makes data stale is ended and opened again. ``latest`` is what a stream brought last.

    Args:
        feed: What is streamed.
        freshness: Told of each frame.
        applied: Called with the keys of flags that may answer differently, after each
            change set.
        options: Back-off and staleness.
        timing: Clock, dice and waiting.
        from_nothing: What the feed holds is not the server's; the first stream starts at nothing.
    """

    def __init__(
        self,
        *,
        feed: Feed[FrameT],
        freshness: Freshness,
        applied: Callable[[frozenset[str]], None],
        options: Options,
        timing: Timing,
        from_nothing: bool = False,
    ) -> None:
        self._feed = feed
        self._freshness = freshness
        self._applied = applied
        self._options = options
        self._timing = timing
        self._backoff = Backoff(
            first=options.backoff_first, maximum=options.backoff_maximum, random=timing.random
        )
        self.latest = NOTHING
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._call: SyncCall[FrameT] | None = None
        self._from_nothing = from_nothing
        self._hung = False
        self._healthy_since: float | None = None
        self._reported: grpc.StatusCode | None = None
        self._watch = IdleWatchdog(limit=options.staleness, act=self._after_silence, timing=timing)
        self._thread = threading.Thread(target=self._run, name="featmesh-sync", daemon=True)

    def start(self) -> None:
        """Starts the threads."""
        self._thread.start()
        self._watch.start()

    def stop(self) -> None:
        """Ends the stream and then the thread; from any thread, also its own."""
        self._stopped.set()
        self._watch.stop()
        self._cancel()

    def join(self, timeout: float) -> None:
        """Waits for the threads, unless one of them calls."""
        if self._thread is not threading.current_thread():
            self._thread.join(timeout)
        self._watch.join(timeout)

    @property
    def is_running(self) -> bool:
        """Whether the thread has not ended yet."""
        return self._thread.is_alive()

    def _cancel(self) -> None:
        with self._lock:
            if self._call is not None:
                self._call.cancel()

    def _after_silence(self) -> None:
        self._hung = True
        self._cancel()

    def _run(self) -> None:
        while not self._stopped.is_set():
            ending = self._follow_one()
            if not self._stopped.is_set():
                self._timing.wait(self._stopped, self._delay(ending))

    def _delay(self, ending: _Ending) -> float:
        since = self._healthy_since
        if since is not None and self._timing.monotonic() - since >= self._options.healthy_after:
            self._backoff.reset()
        if ending.hint:
            return ending.hint
        return self._backoff.next_delay(
            maximum=self._options.backoff_refused if ending.refused else None
        )

    def _follow_one(self) -> _Ending:
        self._healthy_since = None
        self._hung = False
        self._watch.heard()
        try:
            return self._follow()
        except ProtocolError as error:
            self._from_nothing = True
            logger.warning("the stream contradicts itself, starting over: %s", error)
        except grpc.RpcError as error:
            return self._after_failure(error)
        except Exception:
            self._from_nothing = True
            if not self._stopped.is_set():
                logger.exception("the stream failed, starting over")
        finally:
            self._hang_up()
        return _Ending()

    def _follow(self) -> _Ending:
        with self._lock:
            if self._stopped.is_set():
                return _Ending()
            self._call = self._feed.open(from_nothing=self._from_nothing)
            call = self._call
        for frame in call:
            self._frame_received()
            kind = frame.WhichOneof("frame")
            if kind == "change_set":
                self._take(frame)
            elif kind == "goodbye":
                return self._after_goodbye(frame.goodbye)
        return _Ending()

    def _take(self, frame: FrameT) -> None:
        changed = self._feed.take(frame)
        if changed is None:
            return
        self._from_nothing = False
        if self._feed.revision != self.latest.revision:
            self.latest = Applied(self._feed.revision, self._timing.monotonic())
        self._freshness.data_applied()
        self._applied(changed)

    def _frame_received(self) -> None:
        self._watch.heard()
        self._freshness.frame_received()
        self._reported = None
        if self._healthy_since is None:
            self._healthy_since = self._timing.monotonic()

    def _hang_up(self) -> None:
        self._freshness.stream_ended()
        with self._lock:
            call, self._call = self._call, None
        if call is not None:
            call.cancel()

    def _after_goodbye(self, goodbye: sync_pb2.Goodbye) -> _Ending:
        logger.info("the server ends the stream: %s", _reason(goodbye))
        wait_ms = max(0, goodbye.reconnect_after_ms)
        jitter_ms = max(0, goodbye.jitter_ms) * self._timing.random()
        return _Ending(hint=min((wait_ms + jitter_ms) / 1000, MAX_HINT))

    def _after_failure(self, error: grpc.RpcError) -> _Ending:
        if self._hung:
            logger.warning("nothing came for %g s, starting again", self._options.staleness)
            return _Ending()
        code = error.code()
        refused = code in _REFUSED
        if not self._stopped.is_set() and code is not self._reported:
            self._reported = code
            level = logging.ERROR if refused else logging.WARNING
            logger.log(level, "the stream is down: %s %s", code.name, error.details())
        return _Ending(refused=refused)


def _reason(goodbye: sync_pb2.Goodbye) -> str:
    try:
        return sync_pb2.GoodbyeReason.Name(goodbye.reason)
    except ValueError:
        return f"reason {goodbye.reason}, which this version does not know"
