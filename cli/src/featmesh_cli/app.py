"""All commands together."""

from __future__ import annotations

import click

from featmesh.version import __version__
from featmesh_cli.commands.audit import audit
from featmesh_cli.commands.dead_letters import dead_letters
from featmesh_cli.commands.evaluation import evaluate, track, watch
from featmesh_cli.commands.experiments import experiments
from featmesh_cli.commands.explain import explain
from featmesh_cli.commands.flags import flags
from featmesh_cli.commands.imports import import_group
from featmesh_cli.commands.keys import keys
from featmesh_cli.commands.propagation import propagation
from featmesh_cli.commands.reports import reports
from featmesh_cli.commands.segments import segments
from featmesh_cli.commands.tags import tags
from featmesh_cli.commands.target_lists import add_to_flag, add_to_segment
from featmesh_cli.commands.tenancy import environments, organizations, projects
from featmesh_cli.commands.tokens import tokens, whoami
from featmesh_cli.commands.user_transfers import export_users, import_users
from featmesh_cli.commands.users import users
from featmesh_cli.errors import failures_as_lines


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="featmesh")
def app() -> None:
    """Manage FeatMesh's flags, watch them change, and see how they are used.

    Settings are read from options or from the environment: FEATMESH_API, FEATMESH_TOKEN and
    FEATMESH_ENVIRONMENT to manage; FEATMESH_EVALUATION and FEATMESH_SDK_KEY to evaluate.
    """


flags.add_command(add_to_flag)
segments.add_command(add_to_segment)
users.add_command(import_users)
users.add_command(export_users)

for command in (
    import_group,
    flags,
    segments,
    organizations,
    projects,
    environments,
    tags,
    keys,
    tokens,
    whoami,
    propagation,
    watch,
    evaluate,
    explain,
    track,
    reports,
    experiments,
    users,
    audit,
    dead_letters,
):
    app.add_command(command)


def run() -> None:
    """Runs the command that the program's arguments name."""
    with failures_as_lines():
        app(prog_name="featmesh")
