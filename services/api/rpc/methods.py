"""The management API's methods, as their descriptors declare them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from google.protobuf.descriptor import Descriptor, MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from featmesh.options.v1.options_pb2 import Access
from featmesh.options.v1.options_pb2 import access as access_option
from services.access.names import PATTERNS
from services.api.rpc.requests import Check
from services.runtime.field_rules import rule_of
from services.runtime.interceptor import MAX_REQUEST_BYTES

Checks = Mapping[str, Check]
"""What looks at requests beyond the rules of their fields, by the names of methods."""

NO_CHECKS: Final[Checks] = {}


class UndeclaredAccess(Exception):
    """A method says nothing, or nothing that fits, of who may call it; the message names it."""


@dataclass(frozen=True, slots=True)
class Method:
    """One method: its messages, who may call it, and where that is judged.

    ``kinds`` are those that the name in the request's ``resource_field`` may be of. ``check``
    looks at what the rules of the request's fields cannot say.
    """

    path: str
    request: type[Message]
    response: type[Message]
    access: Access
    kinds: tuple[str, ...]
    client_streaming: bool
    server_streaming: bool
    check: Check | None = None

    @property
    def deletes(self) -> bool:
        """Whether what the request names is gone afterwards."""
        return self.path.rpartition("/")[2].startswith("Delete")

    @property
    def request_bytes(self) -> int:
        """The largest request, in bytes."""
        return self.access.request_bytes or MAX_REQUEST_BYTES


def methods_of(service: ServiceDescriptor, checks: Checks = NO_CHECKS) -> Mapping[str, Method]:
    """Returns a service's methods by their names; raises `UndeclaredAccess`."""
    found = {method.name: _method_of(service, method) for method in service.methods}
    return {name: replace(each, check=checks.get(name)) for name, each in found.items()}


def name_in(request: Message, path: str) -> str:
    """Returns the text of the field that a path such as ``flag.name`` names."""
    value: Any = request
    for part in path.split("."):
        value = getattr(value, part)
    return str(value)


_FORMS: Final = frozenset(PATTERNS)


def _method_of(service: ServiceDescriptor, method: MethodDescriptor) -> Method:
    path = f"/{service.full_name}/{method.name}"
    access: Access = method.GetOptions().Extensions[access_option]
    if access.any_caller == bool(access.permission):
        raise UndeclaredAccess(f"{path} needs either a permission or any_caller")
    return Method(
        path=path,
        request=GetMessageClass(method.input_type),
        response=GetMessageClass(method.output_type),
        access=access,
        kinds=_kinds_of(path, method.input_type, access.resource_field),
        client_streaming=method.client_streaming,
        server_streaming=method.server_streaming,
    )


def _kinds_of(path: str, request: Descriptor, field: str) -> tuple[str, ...]:
    if not field:
        return ("installation",)
    *above, last = field.split(".")
    for part in above:
        message = request.fields_by_name[part].message_type
        if message is None:
            raise UndeclaredAccess(f"{path}: {field} is no field of a message")
        request = message
    kinds = tuple(_kinds_named(request, last))
    if not kinds or not _FORMS.issuperset(kinds):
        raise UndeclaredAccess(f"{path}: the rule of {field} names no kind of resource")
    return kinds


def _kinds_named(message: Descriptor, field: str) -> Sequence[str]:
    """The kinds in a field's rule; a resource's own ``name`` is of the resource's kind."""
    named = rule_of(message, field).resource
    return named.split("|") if named else []
