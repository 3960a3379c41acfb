"""The provider: a FeatMesh client as OpenFeature wants to see it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from openfeature.evaluation_context import EvaluationContext
from openfeature.event import ProviderEvent, ProviderEventDetails
from openfeature.exception import ErrorCode, ProviderNotReadyError
from openfeature.flag_evaluation import FlagResolutionDetails
from openfeature.provider import AbstractProvider, Metadata
from openfeature.track import TrackingEventDetails

from featmesh.client import Client, EvaluationDetail, Status
from featmesh.client.listeners import Unsubscribe
from featmesh.engine.model import Context
from featmesh.openfeature.contexts import context_from
from featmesh.openfeature.resolutions import failure, resolution

NAME = "FeatMesh"

T = TypeVar("T")
S = TypeVar("S")

Object = Sequence[Any] | Mapping[str, Any]


class FeatMeshProvider(AbstractProvider):
    """Resolves flags by a client, which it owns: `shutdown` closes it.

    Args:
        client: Connected, offline or for testing.
        ready_timeout: Seconds that `initialize` waits for the first definitions. When they
            come later, the provider becomes READY then.
        anonymous_key: Key of contexts that have no targeting key; without it, they are
            answered with TARGETING_KEY_MISSING.
    """

    def __init__(
        self, client: Client, *, ready_timeout: float = 10.0, anonymous_key: str = ""
    ) -> None:
        super().__init__()
        self._client = client
        self._ready_timeout = ready_timeout
        self._anonymous_key = anonymous_key
        self._subscriptions: list[Unsubscribe] = []
        self._is_initialized = False

    def get_metadata(self) -> Metadata:
        """The provider's name."""
        return Metadata(NAME)

    def initialize(self, evaluation_context: EvaluationContext) -> None:
        """Waits for the first definitions.

        Raises:
            ProviderNotReadyError: They have not come in time.
        """
        self._unsubscribe()
        self._subscriptions = [
            self._client.on_status_change(self._after_status),
            self._client.on_change(self._after_change),
        ]
        is_ready = self._client.wait_until_ready(self._ready_timeout)
        self._is_initialized = True
        if not is_ready:
            raise ProviderNotReadyError(f"no definitions came within {self._ready_timeout:g} s")

    def shutdown(self) -> None:
        """Sends the last events and closes the client."""
        self._unsubscribe()
        self._client.close()

    def resolve_boolean_details(
        self,
        flag_key: str,
        default_value: bool,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[bool]:
        """Resolves a boolean flag."""
        get = self._client.boolean_detail
        return self._resolve(flag_key, default_value, evaluation_context, get, _same)

    def resolve_string_details(
        self,
        flag_key: str,
        default_value: str,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[str]:
        """Resolves a string flag."""
        get = self._client.string_detail
        return self._resolve(flag_key, default_value, evaluation_context, get, _same)

    def resolve_integer_details(
        self,
        flag_key: str,
        default_value: int,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[int]:
        """Resolves a number flag; TYPE_MISMATCH when the number has a fraction."""
        get = self._client.number_detail
        return self._resolve(flag_key, default_value, evaluation_context, get, _integer)

    def resolve_float_details(
        self,
        flag_key: str,
        default_value: float,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[float]:
        """Resolves a number flag."""
        get = self._client.number_detail
        return self._resolve(flag_key, default_value, evaluation_context, get, float)

    def resolve_object_details(
        self,
        flag_key: str,
        default_value: Object,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[Object]:
        """Resolves a JSON flag; TYPE_MISMATCH when it is no list and no dictionary."""
        get: Callable[[str, Context, Any], EvaluationDetail[Any]] = self._client.json_detail
        return self._resolve(flag_key, default_value, evaluation_context, get, _object)

    def track(
        self,
        tracking_event_name: str,
        evaluation_context: EvaluationContext | None = None,
        tracking_event_details: TrackingEventDetails | None = None,
    ) -> None:
        """Reports that a user did something; only the value of the details is sent."""
        value = None if tracking_event_details is None else tracking_event_details.value
        context = context_from(evaluation_context, self._anonymous_key)
        self._client.track(tracking_event_name, context, 1.0 if value is None else value)

    def _resolve(
        self,
        flag_key: str,
        default: T,
        evaluation_context: EvaluationContext | None,
        get: Callable[[str, Context, T], EvaluationDetail[S]],
        convert: Callable[[S], T | None],
    ) -> FlagResolutionDetails[T]:
        context = context_from(evaluation_context, self._anonymous_key)
        if not context.key:
            message = "the evaluation context has no targeting key"
            return failure(default, ErrorCode.TARGETING_KEY_MISSING, message)
        detail = get(flag_key, context, default)
        looks_at_nothing = self._client.snapshot.looks_at_nothing(flag_key)
        return resolution(detail, default, convert, looks_at_nothing=looks_at_nothing)

    def _after_change(self, flag_keys: frozenset[str]) -> None:
        if self._is_initialized:
            details = ProviderEventDetails(flags_changed=sorted(flag_keys))
            self.emit_provider_configuration_changed(details)

    def _after_status(self, status: Status) -> None:
        """Passes it on, except for the first READY, which `initialize` brings about."""
        if not self._is_initialized:
            return
        if status is Status.CLOSED:
            details = ProviderEventDetails(
                message="the client was closed", error_code=ErrorCode.PROVIDER_FATAL
            )
            self.emit_provider_error(details)
        elif (event := _EVENTS.get(status)) is not None:
            self.emit(event, ProviderEventDetails())

    def _unsubscribe(self) -> None:
        for unsubscribe in self._subscriptions:
            unsubscribe()
        self._subscriptions = []


_EVENTS = {
    Status.READY: ProviderEvent.PROVIDER_READY,
    Status.STALE: ProviderEvent.PROVIDER_STALE,
}


def _same(value: T) -> T:
    return value


def _integer(value: float) -> int | None:
    return int(value) if value == int(value) else None


def _object(value: object) -> Object | None:
    return value if isinstance(value, list | dict) else None
