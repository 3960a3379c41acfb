"""`featmesh users`: who was seen, and what they are served."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import click

from featmesh.evaluation.v1 import evaluation_pb2
from featmesh.management.v1 import end_user_service_pb2 as pb
from featmesh.management.v1.end_user_service_pb2_grpc import EndUserServiceStub
from featmesh.wire import attribute_to_proto, context_from_proto
from featmesh_cli.access import Management, management
from featmesh_cli.contexts import attribute_to_text, named_attribute
from featmesh_cli.escapes import printable
from featmesh_cli.output import (
    Columns,
    json_option,
    print_list,
    print_object,
    print_table,
    shown_enum,
    shown_time,
)
from featmesh_cli.paging import limit_option, listed

_USERS: Columns = {
    "KEY": lambda user: user.context.key,
    "NAME": lambda user: user.context.name,
    "ATTRIBUTES": lambda user: ", ".join(sorted(user.context.attributes)),
    "FIRST SEEN": lambda user: shown_time(user.first_seen),
    "LAST SEEN": lambda user: shown_time(user.last_seen),
}
_SEGMENTS: Columns = {
    "SEGMENT": lambda segment: segment.segment_key,
    "BY": lambda segment: "list" if segment.listed else "rule",
}
_FLAGS: Columns = {
    "FLAG": lambda flag: flag.result.flag_key,
    "SERVES": lambda flag: flag.result.variation_id,
    "REASON": lambda flag: shown_enum(evaluation_pb2.Reason, flag.result.reason).upper(),
    "LAST SERVED": lambda flag: flag.last_variation_id,
    "AT": lambda flag: shown_time(flag.last_time),
}
_PROPERTIES: Columns = {
    "NAME": lambda known: known.name,
    "TYPE": lambda known: shown_enum(pb.AttributeType, known.type),
    "VALUES SEEN": lambda known: ", ".join(known.values),
}

Options = Callable[[Callable[..., None]], Callable[..., None]]


def filter_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options that say whom a command is about."""
    options: tuple[Options, ...] = (
        click.option("--prefix", default="", help="Only keys that start with this."),
        click.option(
            "--name", default="", help="Only names that start with this, in capitals or not."
        ),
        click.option(
            "--attribute",
            "attributes",
            multiple=True,
            metavar="NAME=VALUE",
            help="Only users who have this attribute; a list has it if an element is it.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def filter_of(prefix: str, name: str, attributes: Sequence[str]) -> pb.EndUserFilter:
    """The filter that those options make."""
    wanted = pb.EndUserFilter(key_prefix=prefix, name_prefix=name)
    for attribute, value in map(named_attribute, attributes):
        wanted.attributes.add(name=attribute, value=attribute_to_proto(value))
    return wanted


@click.group()
def users() -> None:
    """Find end users, see what they are served, bring them in and out."""


@users.command("list")
@filter_options
@limit_option(500)
@click.option("--keys-only", is_flag=True, help="One key on each line, for a target list.")
@json_option
@management
def list_users(
    access: Management, /, limit: int, keys_only: bool, as_json: bool, **wanted: Any
) -> None:
    """List the end users that all filters let through."""
    request = pb.SearchEndUsersRequest(parent=access.environment, filter=filter_of(**wanted))
    search = EndUserServiceStub(access.channel).SearchEndUsers
    found = listed(access, search, request, limit=limit)
    if keys_only:
        print_keys(user.context.key for user in found)
    else:
        print_list(found, _USERS, as_json=as_json, empty="No users.")


@users.command("show")
@click.argument("key")
@json_option
@management
def show_user(access: Management, key: str, as_json: bool) -> None:
    """Show a user: attributes, segments, and what each flag serves it now."""
    stub, parent = EndUserServiceStub(access.channel), access.environment
    user = access.call(stub.GetEndUser, pb.GetEndUserRequest(parent=parent, key=key)).end_user
    of_segments = pb.ListUserSegmentsRequest(parent=parent, key=key)
    segments = listed(access, stub.ListUserSegments, of_segments)
    of_flags = pb.ListServedFlagsRequest(parent=parent, key=key)
    flags = listed(access, stub.ListServedFlags, of_flags)
    if as_json:
        print_object(end_user=user, segments=segments, flags=flags)
        return
    print_table(("FIELD", "VALUE"), _profile(user), empty="")
    click.echo()
    print_list(segments, _SEGMENTS, as_json=False, empty="In no segment.")
    click.echo()
    print_list(flags, _FLAGS, as_json=False, empty="No flags.")


@users.command("properties")
@json_option
@management
def list_properties(access: Management, as_json: bool) -> None:
    """List the attributes that users had, with types and values that were seen."""
    found = user_properties(access)
    print_list(found, _PROPERTIES, as_json=as_json, empty="No properties.")


def user_properties(access: Management, *, limit: int = 0) -> Iterator[pb.UserProperty]:
    """Yields them by name; no more than ``limit``, 0 for all."""
    request = pb.ListUserPropertiesRequest(parent=access.environment)
    method = EndUserServiceStub(access.channel).ListUserProperties
    return listed(access, method, request, limit=limit)


def print_keys(keys: Iterable[str]) -> None:
    """One on each line; a key that is no line is told and left out."""
    left_out, is_shown = 0, sys.stdout.isatty()
    for key in keys:
        if key.strip() != key or key.splitlines() != [key]:
            left_out += 1
        else:
            click.echo(printable(key) if is_shown else key)
    if left_out:
        click.echo(f"{left_out} keys hold line breaks or outer spaces: left out", err=True)


def _profile(user: pb.EndUser) -> Iterable[tuple[str, str]]:
    context = context_from_proto(user.context)
    yield "key", context.key
    yield "name", context.name
    yield "first seen", shown_time(user.first_seen)
    yield "last seen", shown_time(user.last_seen)
    for name in sorted(context.attributes):
        yield f"attributes.{name}", attribute_to_text(context.attributes[name])
