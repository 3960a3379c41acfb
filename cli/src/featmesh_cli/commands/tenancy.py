"""`featmesh organizations`, `projects` and `environments`."""

from __future__ import annotations

from collections.abc import Sequence

import click

from featmesh.management.v1 import mutation_pb2, tenancy_pb2
from featmesh.management.v1.tenancy_pb2_grpc import TenancyServiceStub
from featmesh_cli.access import TIMEOUT, Management, management
from featmesh_cli.output import print_json, print_one, print_table
from featmesh_cli.paging import all_pages

_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_key = click.argument("key")
_name = click.option("--name", default="", help="Shown to operators; the key if not given.")
_organization = click.option("--organization", required=True, metavar="ID", help="Its owner.")
_project = click.option("--project", required=True, metavar="ID", help="Its owner.")


@click.group()
def organizations() -> None:
    """List and create organizations."""


@organizations.command("list")
@_as_json
@management
def list_organizations(access: Management, as_json: bool) -> None:
    """List the installation's organizations."""
    stub = TenancyServiceStub(access.channel)

    def fetch(page: mutation_pb2.PageRequest) -> tuple[Sequence[tenancy_pb2.Organization], str]:
        request = tenancy_pb2.ListOrganizationsRequest(page=page)
        answer = stub.ListOrganizations(request, metadata=access.metadata, timeout=TIMEOUT)
        return answer.organizations, answer.next_token

    if as_json:
        print_json(all_pages(fetch))
    else:
        rows = ((each.id, each.key, each.name) for each in all_pages(fetch))
        print_table(("ID", "KEY", "NAME"), rows, empty="No organizations.")


@organizations.command("create")
@_key
@_name
@management
def create_organization(access: Management, key: str, name: str) -> None:
    """Create an organization; prints its id."""
    request = tenancy_pb2.CreateOrganizationRequest(key=key, name=name or key)
    stub = TenancyServiceStub(access.channel)
    answer = stub.CreateOrganization(request, metadata=access.metadata, timeout=TIMEOUT)
    click.echo(answer.organization.id)


@click.group()
def projects() -> None:
    """List and create projects."""


@projects.command("list")
@_organization
@_as_json
@management
def list_projects(access: Management, organization: str, as_json: bool) -> None:
    """List an organization's projects."""
    stub = TenancyServiceStub(access.channel)

    def fetch(page: mutation_pb2.PageRequest) -> tuple[Sequence[tenancy_pb2.Project], str]:
        request = tenancy_pb2.ListProjectsRequest(organization_id=organization, page=page)
        answer = stub.ListProjects(request, metadata=access.metadata, timeout=TIMEOUT)
        return answer.projects, answer.next_token

    if as_json:
        print_json(all_pages(fetch))
    else:
        rows = ((each.id, each.key, each.name) for each in all_pages(fetch))
        print_table(("ID", "KEY", "NAME"), rows, empty="No projects.")


@projects.command("create")
@_key
@_organization
@_name
@management
def create_project(access: Management, key: str, organization: str, name: str) -> None:
    """Create a project; prints its id."""
    request = tenancy_pb2.CreateProjectRequest(
        organization_id=organization, key=key, name=name or key
    )
    stub = TenancyServiceStub(access.channel)
    answer = stub.CreateProject(request, metadata=access.metadata, timeout=TIMEOUT)
    click.echo(answer.project.id)


@click.group()
def environments() -> None:
    """List, show, create, change and delete environments."""


@environments.command("list")
@_project
@_as_json
@management
def list_environments(access: Management, project: str, as_json: bool) -> None:
    """List a project's environments."""
    stub = TenancyServiceStub(access.channel)

    def fetch(page: mutation_pb2.PageRequest) -> tuple[Sequence[tenancy_pb2.Environment], str]:
        request = tenancy_pb2.ListEnvironmentsRequest(project_id=project, page=page)
        answer = stub.ListEnvironments(request, metadata=access.metadata, timeout=TIMEOUT)
        return answer.environments, answer.next_token

    if as_json:
        print_json(all_pages(fetch))
    else:
        rows = ((each.id, each.key, str(each.revision), each.name) for each in all_pages(fetch))
        print_table(("ID", "KEY", "REVISION", "NAME"), rows, empty="No environments.")


@environments.command("create")
@_key
@_project
@_name
@management
def create_environment(access: Management, key: str, project: str, name: str) -> None:
    """Create an environment; prints its id."""
    request = tenancy_pb2.CreateEnvironmentRequest(project_id=project, key=key, name=name or key)
    stub = TenancyServiceStub(access.channel)
    answer = stub.CreateEnvironment(request, metadata=access.metadata, timeout=TIMEOUT)
    click.echo(answer.environment.id)


@environments.command("show")
@click.argument("environment_id", metavar="ID", required=False)
@_as_json
@management
def show_environment(access: Management, environment_id: str | None, as_json: bool) -> None:
    """Show an environment; without an ID the one that --environment names."""
    request = tenancy_pb2.GetEnvironmentRequest(
        environment_id=environment_id or access.environment_id
    )
    stub = TenancyServiceStub(access.channel)
    environment = stub.GetEnvironment(request, metadata=access.metadata, timeout=TIMEOUT)
    _show(environment.environment, as_json=as_json)


@environments.command("update")
@click.argument("environment_id", metavar="ID", required=False)
@click.option("--name", default=None, help="Shown to operators.")
@click.option(
    "--retention-days",
    type=click.IntRange(1, 3_650),
    default=None,
    help="How long events are kept that are stored from now on.",
)
@management
def update_environment(
    access: Management, environment_id: str | None, name: str | None, retention_days: int | None
) -> None:
    """Change an environment's name, or how long its events are kept."""
    if name is None and retention_days is None:
        raise click.UsageError("nothing to change: give --name or --retention-days")
    request = tenancy_pb2.UpdateEnvironmentRequest(
        environment_id=environment_id or access.environment_id,
        name=name,
        retention_days=retention_days,
    )
    stub = TenancyServiceStub(access.channel)
    environment = stub.UpdateEnvironment(request, metadata=access.metadata, timeout=TIMEOUT)
    _show(environment.environment, as_json=False)


def _show(environment: tenancy_pb2.Environment, *, as_json: bool) -> None:
    if as_json:
        print_one(environment)
        return
    rows = (
        ("id", environment.id),
        ("key", environment.key),
        ("name", environment.name),
        ("revision", str(environment.revision)),
        ("events kept", f"{environment.retention_days} days"),
    )
    print_table(("FIELD", "VALUE"), rows, empty="")


@environments.command("delete")
@click.argument("environment_id", metavar="ID")
@click.option("--yes", is_flag=True, help="Do not ask.")
@management
def delete_environment(access: Management, environment_id: str, yes: bool) -> None:
    """Delete an environment with everything in it, for good."""
    stub = TenancyServiceStub(access.channel)
    if not yes:
        get = tenancy_pb2.GetEnvironmentRequest(environment_id=environment_id)
        found = stub.GetEnvironment(get, metadata=access.metadata, timeout=TIMEOUT).environment
        click.confirm(
            f"Delete {found.name} ({found.key}) with its flags, segments, SDK keys, users,"
            " events and history, for good?",
            abort=True,
            err=True,
        )
    request = tenancy_pb2.DeleteEnvironmentRequest(environment_id=environment_id)
    stub.DeleteEnvironment(request, metadata=access.metadata, timeout=TIMEOUT)
    click.echo(f"{environment_id} is deleted.")
