"""Options and arguments that commands of a kind of resource share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from featmesh.management.v1 import page_pb2
from featmesh_cli.kinds import Field, Kind

Decorator = Callable[[Callable[..., Any]], Callable[..., None]]

comment_option = click.option("--comment", default="", help="Why, for the audit log.")


def name_argument(kind: Kind, *, optional: bool = False) -> Decorator:
    """Makes the argument that names a resource; the usual environment need not be named."""
    form = "KEY" if kind.has_key else "ID"
    required = not (optional and kind.collection == "environments")
    return click.argument("name", metavar=form if required else f"[{form}]", required=required)


def parent_option(kind: Kind, *, required: bool = False) -> Decorator:
    """Makes the option for what holds the resources; environments have --environment."""
    if kind.parent in {"", "environments"}:
        return lambda command: command
    noun = kind.parent.removesuffix("s")
    what = f"The {noun} that holds {'them' if required else 'it'}, by its name or UUID."
    return click.option(f"--{noun}", "parent", required=required, metavar="NAME", help=what)


def field_options(kind: Kind, verb: str) -> Decorator:
    """Makes the options for the fields that can be set at a verb, `Create` or `Update`."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for field in reversed(fields_at(kind, verb)):
            is_new = verb == "Create"
            has_default = is_new and field.default is not None
            command = click.option(
                field.option,
                field.path,
                help=field.help,
                type=field.type,
                metavar=field.metavar,
                multiple=field.multiple,
                required=is_new and field.required,
                default=field.default if has_default else None,
                show_default=has_default,
            )(command)
        return command

    return decorate


def fields_at(kind: Kind, verb: str) -> list[Field]:
    """Returns the fields that options set at a verb; a new one's key or name is an argument."""
    if verb == "Update":
        return [field for field in kind.fields if field.updates]
    own = "key" if kind.has_key else "display_name"
    return [field for field in kind.fields if field.creates and field.path != own]


def narrowing_options(kind: Kind) -> Decorator:
    """Makes the options for what a list request can leave out."""
    fields = kind.request("List").DESCRIPTOR.fields_by_name
    options = [
        click.option(
            "--filter", "filter_", default="", metavar="FILTER", help="Such as display_name:search."
        ),
        click.option("--order-by", default="", metavar="FIELD", help="Such as updated_at desc."),
    ]
    if "include_archived" in fields:
        options.append(click.option("--archived", is_flag=True, help="Archived ones too."))
    if "tags" in kind.resource.DESCRIPTOR.fields_by_name:
        options.append(click.option("--tag", default="", help="Only those with this tag."))

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def narrow(
    request: Any,
    *,
    as_json: bool,
    filter_: str,
    order_by: str,
    archived: bool = False,
    tag: str = "",
) -> None:
    """Puts those options into a list request; a table needs no targets and rules."""
    quoted = tag.replace("\\", "\\\\").replace('"', '\\"')
    terms = [f"({filter_})" if filter_ and tag else filter_, f'tags:"{quoted}"' if tag else ""]
    request.filter = " AND ".join(filter(None, terms))
    request.order_by = order_by
    if archived:
        request.include_archived = True
    if "view" in request.DESCRIPTOR.fields_by_name:
        request.view = page_pb2.VIEW_FULL if as_json else page_pb2.VIEW_BASIC
