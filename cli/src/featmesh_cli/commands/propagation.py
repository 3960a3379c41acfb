"""`featmesh propagation`."""

from __future__ import annotations

import click

from featmesh_cli.access import Management, management
from featmesh_cli.names import scope_name
from featmesh_cli.propagation import Written, follow, timeout_option


@click.group()
def propagation() -> None:
    """See how far a change has come."""


@propagation.command("watch")
@click.argument("environment_name", metavar="[ENVIRONMENT]", required=False)
@click.option(
    "--revision",
    type=click.IntRange(min=0),
    default=0,
    help="What to wait for; without it, the environment's current revision.",
)
@timeout_option
@management
def watch_propagation(
    access: Management, environment_name: str | None, revision: int, wait_timeout: float
) -> None:
    """Show how many connected streams have a revision, until all of them have applied it."""
    given = environment_name
    name = scope_name("environments", given) if given else access.environment
    follow(access, Written(name, revision), wait_timeout)
