"""What the commands of a kind of resource are made from: its service's descriptor, and names.

A service `FlagService` with the methods `GetFlag`, `ListFlags`, `CreateFlag`, `UpdateFlag` and
`DeleteFlag` is enough to call them: messages and paths stand in the descriptor.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from featmesh_cli.access import Management
from featmesh_cli.errors import CommandError
from featmesh_cli.names import SCOPES, child_name, scope_name
from featmesh_cli.output import Columns


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a resource that an option sets.

    ``convert`` makes the field's value of what the option holds.
    """

    path: str
    option: str
    help: str
    type: Any = None
    metavar: str | None = None
    multiple: bool = False
    convert: Callable[[Any], Any] = lambda value: value
    creates: bool = True
    updates: bool = True
    required: bool = False
    """To create one."""
    default: Any = None
    """Of a new one."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of resource. ``confirmation`` says what goes with one that is deleted for good."""

    noun: str
    collection: str
    """In names: `organizations/<key>/projects/<key>/environments/<key>/<collection>/<key>`."""
    service: ServiceDescriptor
    parent: str
    """Collection of what holds it: one of `SCOPES`, or empty for the installation."""
    columns: Columns
    fields: tuple[Field, ...] = ()
    has_key: bool = True
    """An operator gives a new one its key; else the server gives it an id."""
    is_parent_optional: bool = False
    is_definition: bool = False
    """SDKs see it: it is shown whole, and its changes can be waited for."""
    confirmation: str = ""

    def method(self, verb: str) -> MethodDescriptor | None:
        """Returns the method of a verb such as `Get`, None if there is none.

        `List` is of several, and the first such method; `Versions` lists those of one.
        """
        singular = self.service.name.removesuffix("Service")
        if verb == "List":
            return next((m for m in self.service.methods if m.name.startswith(verb)), None)
        name = f"List{singular}Versions" if verb == "Versions" else f"{verb}{singular}"
        return self.service.methods_by_name.get(name)

    def request(self, verb: str, **fields: Any) -> Any:
        """Makes the request of a verb."""
        return GetMessageClass(self._known(verb).input_type)(**fields)

    def stub(self, access: Management, verb: str) -> grpc.UnaryUnaryMultiCallable[Message, Message]:
        """Makes the call of a verb."""
        method = self._known(verb)
        return access.channel.unary_unary(
            f"/{self.service.full_name}/{method.name}",
            request_serializer=GetMessageClass(method.input_type).SerializeToString,
            response_deserializer=GetMessageClass(method.output_type).FromString,
        )

    def call(self, access: Management, verb: str, **fields: Any) -> Any:
        """Calls a verb's method and returns its answer."""
        return access.call(self.stub(access, verb), self.request(verb, **fields))

    def get(self, access: Management, name: str) -> Any:
        """Returns the resource of a full name."""
        return self.body(self.call(access, "Get", name=name))

    def body(self, answer: Message) -> Any:
        """Returns the resource in an answer."""
        return getattr(answer, self.body_field)

    @property
    def body_field(self) -> str:
        """The field of requests and answers that holds the resource."""
        return str(self._known("Get").output_type.fields[0].name)

    @property
    def resource(self) -> type[Message]:
        """The resource's message."""
        return type(self.body(GetMessageClass(self._known("Get").output_type)()))

    def parent_name(self, access: Management, given: str | None) -> str:
        """Returns the full name of the place that holds resources.

        Args:
            access: The management API.
            given: What the option for the place holds; the environment has its own.

        Raises:
            CommandError: No place was named, or none can have that name.
        """
        if self.parent == "environments":
            return access.environment
        return scope_name(self.parent, given) if given else ""

    def full_name(self, access: Management, given: str | None, text: str | None) -> str:
        """Returns the full name of the resource that an operator calls ``text``.

        Without a text it is the environment that the command works on.

        Raises:
            CommandError: It cannot be told which one is meant.
        """
        if text is None:
            return access.environment
        if self.collection in SCOPES and not given:
            return scope_name(self.collection, text)
        if "/" in text:
            return text
        return child_name(self.parent_name(access, given), self.collection, text)

    def _known(self, verb: str) -> MethodDescriptor:
        method = self.method(verb)
        if method is None:
            raise CommandError(f"there is no way to {verb.lower()} {self.noun}s")
        return method
