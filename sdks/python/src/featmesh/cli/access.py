"""How a command reaches the services: options or variables, then a channel."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Concatenate, ParamSpec

import click
import grpc

from featmesh.cli.failures import CommandError, describe
from featmesh.client.connection import Metadata, bearer, open_channel

TIMEOUT = 30.0
"""Seconds that any one call may take."""

P = ParamSpec("P")
Command = Callable[..., None]


@dataclass(frozen=True, slots=True)
class Management:
    """The management API with the operator's token."""

    channel: grpc.Channel
    metadata: Metadata
    environment_option: str | None

    @property
    def environment_id(self) -> str:
        """The environment that the command works on.

        Raises:
            CommandError: None was named.
        """
        if not self.environment_option:
            raise CommandError("which environment? Give --environment or FEATMESH_ENVIRONMENT")
        return self.environment_option


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


def management(command: Callable[Concatenate[Management, P], None]) -> Command:
    """Gives a command the management API as its first argument, and the options for it."""

    @click.option(
        "--api",
        envvar="FEATMESH_API",
        default="127.0.0.1:7400",
        show_default=True,
        metavar="HOST:PORT",
        help="Management API [FEATMESH_API].",
    )
    @click.option(
        "--token",
        envvar="FEATMESH_TOKEN",
        required=True,
        metavar="TOKEN",
        help="Management token [FEATMESH_TOKEN].",
    )
    @click.option(
        "--environment",
        envvar="FEATMESH_ENVIRONMENT",
        metavar="ID",
        help="Environment's id [FEATMESH_ENVIRONMENT].",
    )
    @click.option("--tls", envvar="FEATMESH_TLS", is_flag=True, help="Use TLS [FEATMESH_TLS].")
    @functools.wraps(command)
    def run(*args: P.args, **options: P.kwargs) -> None:
        api, token = str(options.pop("api")), _secret(options.pop("token"), "token")
        environment, tls = options.pop("environment"), bool(options.pop("tls"))
        with open_channel(api, tls=tls) as channel:
            access = Management(channel, bearer(token), str(environment) if environment else None)
            _run(lambda: command(access, *args, **options))

    return run


def evaluation(command: Callable[Concatenate[Evaluation, P], None]) -> Command:
    """Gives a command the evaluation service as its first argument, and the options for it."""

    @click.option(
        "--evaluation",
        envvar="FEATMESH_EVALUATION",
        default="127.0.0.1:7401",
        show_default=True,
        metavar="HOST:PORT",
        help="Evaluation service [FEATMESH_EVALUATION].",
    )
    @click.option(
        "--sdk-key",
        envvar="FEATMESH_SDK_KEY",
        required=True,
        metavar="KEY",
        help="SDK key [FEATMESH_SDK_KEY].",
    )
    @click.option("--tls", envvar="FEATMESH_TLS", is_flag=True, help="Use TLS [FEATMESH_TLS].")
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
