"""Organizations, projects and environments."""

from __future__ import annotations

from uuid import uuid4

from pymongo.errors import DuplicateKeyError

from services.runtime.errors import AlreadyExists, NotFound
from services.storage.model import Environment, Organization, Page, Project
from services.storage.mongodb.connection import Connection, Document, Part
from services.storage.mongodb.errors import translated
from services.storage.mongodb.paging import BY_KEY, read_page


class MongoTenancy(Part):
    """`TenancyStore` on MongoDB."""

    @translated
    async def create_organization(self, key: str, name: str) -> Organization:
        organization = Organization(str(uuid4()), key, name)
        await self._insert("organizations", {"_id": organization.id, "key": key, "name": name})
        return organization

    @translated
    async def list_organizations(self, size: int, token: str) -> Page[Organization]:
        organizations = self._connection["organizations"]
        return await read_page(
            organizations, {}, order=BY_KEY, size=size, token=token, decode=_organization_of
        )

    @translated
    async def create_project(self, organization_id: str, key: str, name: str) -> Project:
        await require(self._connection, "organizations", organization_id)
        project = Project(str(uuid4()), organization_id, key, name)
        document = {"_id": project.id, "organization": organization_id, "key": key, "name": name}
        await self._insert("projects", document)
        return project

    @translated
    async def list_projects(self, organization_id: str, size: int, token: str) -> Page[Project]:
        await require(self._connection, "organizations", organization_id)
        query = {"organization": organization_id}
        projects = self._connection["projects"]
        return await read_page(
            projects, query, order=BY_KEY, size=size, token=token, decode=_project_of
        )

    @translated
    async def create_environment(self, project_id: str, key: str, name: str) -> Environment:
        await require(self._connection, "projects", project_id)
        document = {
            "_id": str(uuid4()),
            "project": project_id,
            "key": key,
            "name": name,
            "revision": milliseconds(self._connection),
            "floor": 0,
        }
        await self._insert("environments", document)
        return _environment_of(document)

    @translated
    async def get_environment(self, environment_id: str) -> Environment:
        return _environment_of(await require(self._connection, "environments", environment_id))

    @translated
    async def list_environments(self, project_id: str, size: int, token: str) -> Page[Environment]:
        await require(self._connection, "projects", project_id)
        query = {"project": project_id}
        environments = self._connection["environments"]
        return await read_page(
            environments, query, order=BY_KEY, size=size, token=token, decode=_environment_of
        )

    async def _insert(self, collection: str, document: Document) -> None:
        try:
            await self._connection[collection].insert_one(document)
        except DuplicateKeyError:
            singular = collection.removesuffix("s")
            raise AlreadyExists(f"{singular} {document['key']!r} already exists") from None


async def require(connection: Connection, collection: str, document_id: str) -> Document:
    """The document; raises `NotFound` when it is not there."""
    document = await connection[collection].find_one({"_id": document_id})
    if document is None:
        raise NotFound(f"{collection.removesuffix('s')} {document_id!r} does not exist")
    return document


def milliseconds(connection: Connection) -> int:
    """The clock's time in milliseconds since the epoch."""
    return round(connection.now().timestamp() * 1000)


def _organization_of(document: Document) -> Organization:
    return Organization(document["_id"], document["key"], document["name"])


def _project_of(document: Document) -> Project:
    return Project(document["_id"], document["organization"], document["key"], document["name"])


def _environment_of(document: Document) -> Environment:
    return Environment(
        id=document["_id"],
        project_id=document["project"],
        key=document["key"],
        name=document["name"],
        revision=document["revision"],
        floor=document.get("floor", 0),
    )
