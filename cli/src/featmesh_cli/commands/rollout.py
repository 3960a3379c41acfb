"""`featmesh rollout`."""

from __future__ import annotations

import click

from featmesh_cli.access import Management, management
from featmesh_cli.rollouts import follow, timeout_option


@click.group()
def rollout() -> None:
    """See how far a change has come."""


@rollout.command("watch")
@click.argument("environment_id", metavar="[ENV]", required=False)
@click.option(
    "--revision",
    type=click.IntRange(min=0),
    default=0,
    help="What to wait for; without it, the environment's current revision.",
)
@timeout_option
@management
def watch_rollout(
    access: Management, environment_id: str | None, revision: int, wait_timeout: float
) -> None:
    """Show how many connected streams have a revision, until all of them have applied it."""
    follow(access, environment_id or access.environment_id, revision, wait_timeout)
