"""The commands that every kind of resource has: list, get, create, update and delete."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import click
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message

from featmesh.management.v1.mutation_pb2 import MutationOptions
from featmesh_cli.access import Management, management
from featmesh_cli.escapes import printable
from featmesh_cli.kinds import Kind
from featmesh_cli.names import environment_of
from featmesh_cli.options import (
    Decorator,
    comment_option,
    field_options,
    fields_at,
    name_argument,
    narrow,
    narrowing_options,
    parent_option,
)
from featmesh_cli.output import (
    echo,
    json_option,
    print_fields,
    print_list,
    print_one,
    shown_time,
)
from featmesh_cli.paging import limit_option, listed
from featmesh_cli.propagation import Written, with_propagation_wait


def resource_group(kind: Kind, name: str, *, help_text: str) -> click.Group:
    """Makes a kind's commands: those whose methods its service has, and for which it has fields."""
    group = click.Group(name, help=help_text)
    makers = {
        "List": list_command,
        "Get": get_command,
        "Create": create_command,
        "Update": update_command,
        "Delete": delete_command,
    }
    for verb, make in makers.items():
        has_fields = verb not in {"Create", "Update"} or fields_at(kind, verb)
        if kind.method(verb) and has_fields:
            group.add_command(make(kind))
    return group


def list_command(kind: Kind) -> click.Command:
    """Makes the command that lists the resources of a place."""

    @click.command("list", help=f"List {kind.noun}s.")
    @parent_option(kind, required=not kind.is_parent_optional)
    @narrowing_options(kind)
    @limit_option()
    @json_option
    @management
    def command(
        access: Management,
        /,
        *,
        parent: str | None = None,
        limit: int,
        as_json: bool,
        **narrowed: Any,
    ) -> None:
        request = kind.request("List", parent=kind.parent_name(access, parent))
        narrow(request, as_json=as_json, **narrowed)
        found = listed(access, kind.stub(access, "List"), request, limit=limit)
        print_list(found, kind.columns, as_json=as_json, empty=f"No {kind.noun}s.")

    return command


def get_command(kind: Kind) -> click.Command:
    """Makes the command that shows one resource; a definition is shown as JSON."""

    @click.command("get", help=f"Show {_a(kind.noun)}{_whole(kind)}.")
    @name_argument(kind, optional=True)
    @parent_option(kind)
    @json_option
    @management
    def command(
        access: Management, *, name: str | None, parent: str | None = None, as_json: bool
    ) -> None:
        resource = kind.get(access, kind.full_name(access, parent, name))
        show_resource(kind, resource, as_json=as_json)

    return command


def create_command(kind: Kind) -> click.Command:
    """Makes the command that creates a resource and prints its name, or its secret once."""
    own = "key" if kind.has_key else "display_name"
    printed = "its name" if kind.has_key else "its secret, this once"

    @click.command("create", help=f"Create {_a(kind.noun)}; prints {printed}.")
    @click.argument(own, metavar=own.removeprefix("display_").upper())
    @parent_option(kind, required=not kind.is_parent_optional)
    @field_options(kind, "Create")
    @comment_option
    @management
    def command(
        access: Management, /, *, parent: str | None = None, comment: str, **values: Any
    ) -> None:
        given = _given(kind, values)
        if kind.has_key:
            given = {"key": values["key"], "display_name": values["key"], **given}
        answer = kind.call(
            access,
            "Create",
            parent=kind.parent_name(access, parent),
            options=MutationOptions(comment=comment),
            **{kind.body_field: _resource_of(kind, given)},
        )
        show_created(kind, answer)

    return command


def update_command(kind: Kind) -> click.Command:
    """Makes the command that replaces fields of a resource as it is now."""

    @click.command("update", help=f"Change {_a(kind.noun)}.")
    @name_argument(kind, optional=True)
    @parent_option(kind)
    @field_options(kind, "Update")
    @comment_option
    @management
    @_awaitable(kind)
    def command(
        access: Management,
        /,
        *,
        name: str | None,
        parent: str | None = None,
        comment: str,
        **values: Any,
    ) -> Written | None:
        given = _given(kind, values)
        if not given:
            options = " or ".join(field.option for field in fields_at(kind, "Update"))
            raise click.UsageError(f"nothing to change: give {options}")
        current = kind.get(access, kind.full_name(access, parent, name))
        changed = _resource_of(kind, {"name": current.name, **given})
        options_ = MutationOptions(comment=comment)
        resource = update_resource(access, kind, changed, current, list(given), options_)
        if kind.is_definition:
            told = f"version {resource.meta.version} (revision {resource.meta.revision})"
            echo(f"{resource.name} is changed: now {told}.")
        else:
            show_resource(kind, resource, as_json=False)
        return written(kind, resource)

    return command


def delete_command(kind: Kind) -> click.Command:
    """Makes the command that deletes a resource, where it asks first if that is for good."""

    @click.command("delete", help=f"Delete {_a(kind.noun)}{_afterwards(kind)}.")
    @name_argument(kind)
    @parent_option(kind)
    @comment_option
    @_confirmed(kind)
    @management
    @_awaitable(kind)
    def command(
        access: Management, *, name: str, parent: str | None = None, comment: str, yes: bool = True
    ) -> Written | None:
        full_name = kind.full_name(access, parent, name)
        if not yes:
            found = kind.get(access, full_name)
            shown = printable(f"{found.display_name} ({found.name})")
            click.confirm(f"Delete {shown} {kind.confirmation}?", abort=True, err=True)
        options = MutationOptions(comment=comment)
        answer = kind.call(access, "Delete", name=full_name, options=options)
        if not kind.is_definition:
            echo(f"{name} is deleted.")
            return None
        echo(f"{name} is deleted (revision {answer.revision}).")
        return Written(environment_of(full_name), answer.revision)

    return command


def update_resource(
    access: Management,
    kind: Kind,
    changed: Message,
    base: Any,
    paths: Iterable[str],
    options: MutationOptions,
) -> Any:
    """Replaces fields of a resource, if it is still as it was read.

    Args:
        access: The management API.
        kind: What it is.
        changed: Its name, and the new content of the fields.
        base: As it was read.
        paths: The fields.
        options: Why.

    Returns:
        The resource as it is stored now.
    """
    answer = kind.call(
        access,
        "Update",
        update_mask=FieldMask(paths=paths),
        base_version=base.meta.version,
        options=options,
        **{kind.body_field: changed},
    )
    return kind.body(answer)


def written(kind: Kind, resource: Any) -> Written | None:
    """Returns the change that SDKs see, None where they see none."""
    if not kind.is_definition:
        return None
    return Written(environment_of(resource.name), resource.meta.revision)


def show_resource(kind: Kind, resource: Any, *, as_json: bool) -> None:
    """Prints a resource with what the server says of it; a definition as JSON."""
    if kind.is_definition:
        print_one(resource)
        return
    meta = {
        "ID": lambda each: each.meta.id,
        "VERSION": lambda each: str(each.meta.version),
        "CREATED": lambda each: shown_time(each.meta.created_at),
        "UPDATED": lambda each: shown_time(each.meta.updated_at),
    }
    print_fields(resource, {**meta, **kind.columns}, as_json=as_json)


def show_created(kind: Kind, answer: Any) -> None:
    """Prints the name of a new resource, or the secret that it has, for another program."""
    name = kind.body(answer).name
    if kind.has_key:
        echo(name)
        return
    echo(f"{name}; its secret is shown only now:", err=True)
    echo(answer.secret)


def _given(kind: Kind, values: dict[str, Any]) -> dict[str, Any]:
    """The fields that options name, as the contract has them."""
    converts = {field.path: field.convert for field in kind.fields}
    return {
        path: converts[path](value)
        for path, value in values.items()
        if path in converts and value is not None and value != ()
    }


def _resource_of(kind: Kind, fields: dict[str, Any]) -> Message:
    return kind.resource(**fields)


def _awaitable(kind: Kind) -> Decorator:
    if not kind.is_definition:
        return lambda command: command
    return with_propagation_wait


def _confirmed(kind: Kind) -> Decorator:
    if not kind.confirmation:
        return lambda command: command
    return click.option("--yes", is_flag=True, help="Do not ask.")


def _a(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeioS' else 'a'} {noun}"


def _whole(kind: Kind) -> str:
    return "'s whole definition as JSON" if kind.is_definition else ""


def _afterwards(kind: Kind) -> str:
    if kind.is_definition:
        return "; SDKs forget it, its history stays"
    return " with everything in it, for good" if kind.confirmation else ""
