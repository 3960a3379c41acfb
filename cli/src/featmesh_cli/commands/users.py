"""`featmesh users`: who was seen, and what they are served."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import click

from featmesh.evaluation.v1 import evaluation_pb2
from featmesh.management.v1 import end_user_service_pb2 as pb
from featmesh.management.v1 import insight_service_pb2, mutation_pb2
from featmesh.management.v1.end_user_service_pb2_grpc import EndUserServiceStub
from featmesh.wire import attribute_to_proto, context_from_proto
from featmesh_cli.access import TIMEOUT, Management, management
from featmesh_cli.contexts import attribute_to_text, named_attribute
from featmesh_cli.output import print_json, print_object, print_table, shown_time
from featmesh_cli.paging import all_pages

_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")

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
@click.option("--limit", type=click.IntRange(0), default=500, show_default=True, help="0: all.")
@click.option("--keys-only", is_flag=True, help="One key on each line, for a target list.")
@_as_json
@management
def list_users(
    access: Management, /, limit: int, keys_only: bool, as_json: bool, **wanted: Any
) -> None:
    """List the end users that all filters let through."""
    found = _search(access, filter_of(**wanted), limit)
    if keys_only:
        print_keys(user.context.key for user in found)
    elif as_json:
        print_json(found)
    else:
        headings = ("KEY", "NAME", "ATTRIBUTES", "FIRST SEEN", "LAST SEEN")
        print_table(headings, map(_user_row, found), empty="No users.")


@users.command("show")
@click.argument("key")
@_as_json
@management
def show_user(access: Management, key: str, as_json: bool) -> None:
    """Show a user: attributes, segments, and what each flag serves it now."""
    stub, environment_id = EndUserServiceStub(access.channel), access.environment_id
    get = pb.GetEndUserRequest(environment_id=environment_id, key=key)
    user = stub.GetEndUser(get, metadata=access.metadata, timeout=TIMEOUT).end_user

    def flags(page: mutation_pb2.PageRequest) -> tuple[Sequence[pb.ServedFlag], str]:
        request = pb.ListServedFlagsRequest(environment_id=environment_id, key=key, page=page)
        answer = stub.ListServedFlags(request, metadata=access.metadata, timeout=TIMEOUT)
        return answer.flags, answer.next_token

    def segments(page: mutation_pb2.PageRequest) -> tuple[Sequence[pb.UserSegment], str]:
        request = pb.ListUserSegmentsRequest(environment_id=environment_id, key=key, page=page)
        answer = stub.ListUserSegments(request, metadata=access.metadata, timeout=TIMEOUT)
        return answer.segments, answer.next_token

    if as_json:
        print_object(end_user=user, segments=all_pages(segments), flags=all_pages(flags))
        return
    print_table(("FIELD", "VALUE"), _profile(user), empty="")
    click.echo()
    rows = ((each.segment_key, "list" if each.listed else "rule") for each in all_pages(segments))
    print_table(("SEGMENT", "BY"), rows, empty="In no segment.")
    click.echo()
    headings = ("FLAG", "SERVES", "REASON", "LAST SERVED", "AT")
    print_table(headings, map(_flag_row, all_pages(flags)), empty="No flags.")


@users.command("properties")
@_as_json
@management
def list_properties(access: Management, as_json: bool) -> None:
    """List the attributes that users had, with types and values that were seen."""
    found = user_properties(access)
    if as_json:
        print_json(found)
        return
    rows = (
        (
            each.name,
            pb.AttributeType.Name(each.type).removeprefix("ATTRIBUTE_TYPE_").lower(),
            ", ".join(each.values),
        )
        for each in found
    )
    print_table(("NAME", "TYPE", "VALUES SEEN"), rows, empty="No properties.")


def user_properties(access: Management, *, limit: int = 0) -> Iterable[pb.UserProperty]:
    """By name; no more than ``limit``, 0 for all."""
    stub, environment_id = EndUserServiceStub(access.channel), access.environment_id

    def fetch(page: mutation_pb2.PageRequest) -> tuple[Sequence[pb.UserProperty], str]:
        request = pb.ListUserPropertiesRequest(environment_id=environment_id, page=page)
        answer = stub.ListUserProperties(request, metadata=access.metadata, timeout=TIMEOUT)
        return answer.properties, answer.next_token

    return all_pages(fetch, limit=limit)


def print_keys(keys: Iterable[str]) -> None:
    """One on each line; a key that is no line is told and left out."""
    left_out = 0
    for key in keys:
        if key.strip() != key or key.splitlines() != [key]:
            left_out += 1
        else:
            click.echo(key)
    if left_out:
        click.echo(f"{left_out} keys hold line breaks or outer spaces: left out", err=True)


def _search(
    access: Management, wanted: pb.EndUserFilter, limit: int
) -> Iterable[insight_service_pb2.EndUser]:
    stub, environment_id = EndUserServiceStub(access.channel), access.environment_id

    def fetch(
        page: mutation_pb2.PageRequest,
    ) -> tuple[Sequence[insight_service_pb2.EndUser], str]:
        request = pb.SearchEndUsersRequest(environment_id=environment_id, page=page, filter=wanted)
        answer = stub.SearchEndUsers(request, metadata=access.metadata, timeout=TIMEOUT)
        return answer.end_users, answer.next_token

    return all_pages(fetch, limit=limit)


def _user_row(user: insight_service_pb2.EndUser) -> tuple[str, ...]:
    context = user.context
    attributes = ", ".join(sorted(context.attributes))
    seen = (shown_time(user.first_seen), shown_time(user.last_seen))
    return (context.key, context.name, attributes, *seen)


def _type_text(known: pb.UserProperty) -> str:
    return pb.AttributeType.Name(known.type).removeprefix("ATTRIBUTE_TYPE_").lower()


def _profile(user: insight_service_pb2.EndUser) -> Iterable[tuple[str, str]]:
    context = context_from_proto(user.context)
    yield "key", context.key
    yield "name", context.name
    yield "first seen", shown_time(user.first_seen)
    yield "last seen", shown_time(user.last_seen)
    for name in sorted(context.attributes):
        yield f"attributes.{name}", attribute_to_text(context.attributes[name])


def _flag_row(flag: pb.ServedFlag) -> tuple[str, ...]:
    result = flag.result
    return (
        result.flag_key,
        result.variation_id,
        evaluation_pb2.Reason.Name(result.reason).removeprefix("REASON_"),
        flag.last_variation_id,
        shown_time(flag.last_time),
    )
