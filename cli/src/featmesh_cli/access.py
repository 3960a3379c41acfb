"""How a command reaches the services: options or variables, then a channel."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Concatenate, ParamSpec, TypeVar

import click
import grpc
from google.protobuf.message import Message

from featmesh.client.connection import Metadata, bearer, open_channel
from featmesh_cli.errors import CommandError, describe
from featmesh_cli.names import scope_name

TIMEOUT = 30.0
"""Seconds that any one call may take."""

MAX_RECEIVED_BYTES = 64 * 1024 * 1024
"""Of one answer: a page of large flags is many times gRPC's usual 4 MiB."""

P = ParamSpec("P")
T = TypeVar("T")
Command = Callable[..., None]


@dataclass(frozen=True, slots=True)
class Management:
    """The management API with the operator's token."""

    channel: grpc.Channel
    metadata: Metadata
    environment_option: str | None

    @property
    def environment(self) -> str:
        """The full name of the environment that the command works on.

        Raises:
            CommandError: None was named, or what was is no name of one.
        """
        if not self.environment_option:
            raise CommandError("which environment? Give --environment or FEATMESH_ENVIRONMENT")
        return scope_name("environments", self.environment_option)

    def call(self, method: Callable[..., T], request: Message) -> T:
        """Calls a stub's method with the token and a deadline."""
        return method(request, metadata=self.metadata, timeout=TIMEOUT)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The evaluation service with an SDK key."""

    address: str
    sdk_key: str
    tls: bool

    @property
    def metadata(self) -> Metadata:
        """What every call carries."""
        return bearer(self.sdk_key)

    def open(self) -> grpc.Channel:
        """Opens a channel for single calls; the caller closes it."""
        return open_channel(self.address, tls=self.tls, max_received=MAX_RECEIVED_BYTES)


def management(command: Callable[Concatenate[Management, P], None]) -> Command:
    """Gives a command the management API as its first argument, and the options for it."""

    @click.option(
        "--api",
        envvar="FEATMESH_API",
        show_envvar=True,
        default="127.0.0.1:7400",
        show_default=True,
        metavar="HOST:PORT",
        help="Management API.",
    )
    @click.option(
        "--token",
        envvar="FEATMESH_TOKEN",
        show_envvar=True,
        required=True,
        metavar="TOKEN",
        help="Management token.",
    )
    @click.option(
        "--environment",
        envvar="FEATMESH_ENVIRONMENT",
        show_envvar=True,
        metavar="NAME",
        help="organizations/<key>/projects/<key>/environments/<key>, or the environment's UUID.",
    )
    @click.option("--tls", envvar="FEATMESH_TLS", show_envvar=True, is_flag=True, help="Use TLS.")
    @functools.wraps(command)
    def run(*args: P.args, **options: P.kwargs) -> None:
        api, token = str(options.pop("api")), _secret(options.pop("token"), "token")
        environment, tls = options.pop("environment"), bool(options.pop("tls"))
        with open_channel(api, tls=tls, max_received=MAX_RECEIVED_BYTES) as channel:
            access = Management(channel, bearer(token), str(environment) if environment else None)
            _run(lambda: command(access, *args, **options))

    return run


def evaluation(command: Callable[Concatenate[Evaluation, P], None]) -> Command:
    """Gives a command the evaluation service as its first argument, and the options for it."""

    @click.option(
        "--evaluation",
        envvar="FEATMESH_EVALUATION",
        show_envvar=True,
        default="127.0.0.1:7401",
        show_default=True,
        metavar="HOST:PORT",
        help="Evaluation service.",
    )
    @click.option(
        "--sdk-key",
        envvar="FEATMESH_SDK_KEY",
        show_envvar=True,
        required=True,
        metavar="KEY",
        help="SDK key.",
    )
    @click.option("--tls", envvar="FEATMESH_TLS", show_envvar=True, is_flag=True, help="Use TLS.")
    @functools.wraps(command)
    def run(*args: P.args, **options: P.kwargs) -> None:
        access = Evaluation(
            address=str(options.pop("evaluation")),
            sdk_key=_secret(options.pop("sdk_key"), "SDK key"),
            tls=bool(options.pop("tls")),
        )
        _run(lambda: command(access, *args, **options))

    return run


def _run(call: Callable[[], None]) -> None:
    try:
        call()
    except grpc.RpcError as error:
        raise describe(error) from error


def _secret(value: object, what: str) -> str:
    """Refuses a secret that no header can carry, without showing it."""
    text = str(value).strip()
    if not text or not text.isascii() or not text.isprintable():
        raise CommandError(f"the {what} must be printable ASCII text")
    return text
