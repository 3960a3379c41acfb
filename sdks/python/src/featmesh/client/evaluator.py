"""How a client answers: evaluate, count, tell the hooks; and never raise."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

from featmesh.client.detail import EvaluationDetail, detail_reader, failed, failure
from featmesh.client.hooks import EvaluationHook
from featmesh.client.once import OnceLogger
from featmesh.client.reporter import Reporter
from featmesh.client.timing import Timing
from featmesh.engine.evaluate import READS_CLOCK
from featmesh.engine.model import Context, ErrorKind, Result, ValueType

logger = logging.getLogger(__name__)
once = OnceLogger(logger)

BOOLEAN, STRING, NUMBER = ValueType.BOOLEAN, ValueType.STRING, ValueType.NUMBER
"""An enum's attribute takes as long to look up as a flag to evaluate (Python 3.11)."""

T = TypeVar("T")
Held_co = TypeVar("Held_co", bound="Held", covariant=True)
H = TypeVar("H", bound="Held")

Evaluate = Callable[[H, str, Context, int], Result]
"""Answers from what is held, for a flag key, a context and the clock in milliseconds."""

Read = Callable[[Result, T, int], EvaluationDetail[T]]
"""Reads a result of a revision as a type, or gives the default."""


class Held(Protocol):
    """What a client holds at one revision of the environment."""

    @property
    def revision(self) -> int:
        """0 before there is any."""
        ...


class Store(Protocol[Held_co]):
    """Where a client keeps what it holds."""

    @property
    def current(self) -> Held_co:
        """Immutable, and swapped whole."""
        ...

    @property
    def is_loaded(self) -> bool:
        """Whether anything has come yet."""
        ...


class Evaluator(Generic[H]):
    """Answers for an application; a fault of ours gives the default and is logged once."""

    def __init__(
        self,
        store: Store[H],
        evaluate: Evaluate[H],
        *,
        reporter: Reporter,
        hooks: Sequence[EvaluationHook],
        timing: Timing,
    ) -> None:
        self.reporter = reporter
        self._store = store
        self._evaluate = evaluate
        self._hooks = tuple(hooks)
        self._wall_ns = timing.wall_ns

    def value(
        self, flag_key: str, context: Context, default: T, kind: ValueType, read: Read[T]
    ) -> T:
        """The value alone, by the shortest way.

        Args:
            flag_key: The flag.
            context: Whom for.
            default: What is given where there is no value.
            kind: Type whose values need no reading.
            read: Reads a result of any other type.
        """
        if self._hooks:
            return self.detail(flag_key, context, default, read).value
        try:
            count = self.reporter.served
            now_ms = 0 if count is None and not READS_CLOCK else self._wall_ns() // 1_000_000
            result = self._evaluate(self._store.current, flag_key, context, now_ms)
            if result.value_type is kind:
                if count is not None:
                    count(context, result, now_ms)
                return result.value  # type: ignore[return-value]  # what its type says
        except Exception as error:  # noqa: BLE001 - whatever it is, an answer is due
            _report(error, flag_key)
            return default
        return self.detail(flag_key, context, default, read).value

    def detail(
        self, flag_key: str, context: Context, default: T, read: Read[T]
    ) -> EvaluationDetail[T]:
        """The value and why."""
        try:
            now_ms = self._wall_ns() // 1_000_000
            result, revision = self._result(flag_key, context, now_ms)
            detail = read(result, default, revision)
            if detail.error_kind is None and self.reporter.served is not None:
                self.reporter.served(context, result, now_ms)
        except Exception as error:  # noqa: BLE001 - whatever it is, an answer is due
            _report(error, flag_key)
            detail = failed(default, ErrorKind.GENERAL)
        for hook in self._hooks:
            _tell(hook, flag_key, context, detail)
        return detail

    def peek(self, flag_key: str, context: Context, default: T) -> T:
        """The value of the default's type; counts no evaluation and tells no hook."""
        try:
            result, _ = self._result(flag_key, context, self._wall_ns() // 1_000_000)
            return detail_reader(default)(result, default).value
        except Exception as error:  # noqa: BLE001 - whatever it is, an answer is due
            _report(error, flag_key)
            return default

    def _result(self, flag_key: str, context: Context, now_ms: int) -> tuple[Result, int]:
        """With the revision that gave it; CLIENT_NOT_READY and 0 before there is anything."""
        if not self._store.is_loaded:
            return failure(flag_key, ErrorKind.CLIENT_NOT_READY), 0
        held = self._store.current
        return self._evaluate(held, flag_key, context, now_ms), held.revision


def _tell(
    hook: EvaluationHook, flag_key: str, context: Context, detail: EvaluationDetail[object]
) -> None:
    try:
        hook.after_evaluation(flag_key, context, detail)
    except Exception as error:  # noqa: BLE001 - what applications hook in is theirs
        once.error((f"{type(hook)}{type(error)}"), error, "the hook %s failed", type(hook).__name__)


def _report(error: Exception, flag_key: object) -> None:
    shown = flag_key[:128] if isinstance(flag_key, str) else type(flag_key).__name__
    once.error(f"{type(error)}{shown}", error, "the flag %r could not be evaluated", shown)
