"""How a client answers: evaluate, count, tell the hooks; and never raise."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TypeVar, cast

from featmesh.client.detail import EvaluationDetail, detail_reader, failed
from featmesh.client.hooks import EvaluationHook
from featmesh.client.once import OnceLogger
from featmesh.client.reporter import Reporter
from featmesh.engine.model import Context, ErrorKind, Result, ValueType

logger = logging.getLogger(__name__)
once = OnceLogger(logger)

Resolve = Callable[[str, Context, int], Result]
"""The engine's or the server's answer for a flag, a context and the clock."""

T = TypeVar("T")
ResolveAt = Callable[[str, Context, int], tuple[Result, int]]
"""The same, with the revision of the environment that gave it."""

Read = Callable[[Result, T, int], EvaluationDetail[T]]
"""Reads a result of a revision as a type, or gives the default."""


class Answers:
    """Answers for an application; a fault of ours gives the default and is logged once."""

    def __init__(
        self,
        resolve: Resolve,
        resolve_at: ResolveAt,
        *,
        reporter: Reporter,
        hooks: Sequence[EvaluationHook],
        wall_ms: Callable[[], int],
    ) -> None:
        self.reporter = reporter
        self._resolve = resolve
        self._resolve_at = resolve_at
        self._hooks = tuple(hooks)
        self._wall_ms = wall_ms

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
            now_ms = self._wall_ms()
            result = self._resolve(flag_key, context, now_ms)
            if result.value_type is kind:
                self.reporter.served(context, result, now_ms)
                return cast("T", result.value)
            detail = read(result, default, 0)
            self._count(context, result, detail, now_ms)
            return detail.value
        except Exception as error:  # noqa: BLE001 - whatever it is, an answer is due
            _report(error, flag_key)
            return default

    def detail(
        self, flag_key: str, context: Context, default: T, read: Read[T]
    ) -> EvaluationDetail[T]:
        """The value and why."""
        try:
            now_ms = self._wall_ms()
            result, revision = self._resolve_at(flag_key, context, now_ms)
            detail = read(result, default, revision)
            self._count(context, result, detail, now_ms)
        except Exception as error:  # noqa: BLE001 - whatever it is, an answer is due
            _report(error, flag_key)
            detail = failed(default, ErrorKind.GENERAL)
        for hook in self._hooks:
            _tell(hook, flag_key, context, detail)
        return detail

    def peek(self, flag_key: str, context: Context, default: T) -> T:
        """The value of the default's type; counts no evaluation and tells no hook."""
        try:
            result = self._resolve(flag_key, context, self._wall_ms())
            return detail_reader(default)(result, default).value
        except Exception as error:  # noqa: BLE001 - whatever it is, an answer is due
            _report(error, flag_key)
            return default

    def _count(
        self, context: Context, result: Result, detail: EvaluationDetail[object], now_ms: int
    ) -> None:
        if detail.error_kind is None:
            self.reporter.served(context, result, now_ms)


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
