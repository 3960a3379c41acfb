"""Organizations, projects and environments."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any
from uuid import uuid4

from pymongo.errors import DuplicateKeyError

from services.runtime.errors import AlreadyExists
from services.storage.model.changes import PLAINLY, Request
from services.storage.model.pages import Page
from services.storage.model.tenancy import (
    DEFAULT_RETENTION_DAYS,
    Environment,
    EnvironmentSettings,
    Organization,
    Project,
)
from services.storage.mongodb.driver.client import Document, Part, milliseconds, require
from services.storage.mongodb.driver.errors import translated
from services.storage.mongodb.driver.paging import BY_KEY, read_page
from services.storage.mongodb.driver.transactions import Session
from services.storage.mongodb.events.retention import RETENTION_FIELD
from services.storage.mongodb.resources.epochs import new_epoch
from services.storage.mongodb.resources.removals import begin_removal
from services.storage.mongodb.resources.requests import INSTALLATION, once


class MongoTenancy(Part):
    """`TenancyStore` on MongoDB."""

    @translated
    async def create_organization(
        self, key: str, name: str, request: Request = PLAINLY
    ) -> Organization:
        made = {"_id": str(uuid4()), "key": key, "name": name}

        async def create(session: Session) -> Document:
            return await self._insert("organizations", made, session)

        return _organization_of(await self._once(request, create))

    @translated
    async def list_organizations(self, size: int, token: str) -> Page[Organization]:
        organizations = self._connection["organizations"]
        return await read_page(
            organizations, {}, order=BY_KEY, size=size, token=token, decode=_organization_of
        )

    @translated
    async def create_project(
        self, organization_id: str, key: str, name: str, request: Request = PLAINLY
    ) -> Project:
        made = {"_id": str(uuid4()), "organization": organization_id, "key": key, "name": name}

        async def create(session: Session) -> Document:
            await require(self._connection, "organizations", organization_id, session)
            return await self._insert("projects", made, session)

        return _project_of(await self._once(request, create))

    @translated
    async def list_projects(self, organization_id: str, size: int, token: str) -> Page[Project]:
        await require(self._connection, "organizations", organization_id)
        query = {"organization": organization_id}
        projects = self._connection["projects"]
        return await read_page(
            projects, query, order=BY_KEY, size=size, token=token, decode=_project_of
        )

    @translated
    async def create_environment(
        self, project_id: str, key: str, name: str, request: Request = PLAINLY
    ) -> Environment:
        revision = milliseconds(self._connection)
        made = {
            "_id": str(uuid4()),
            "project": project_id,
            "key": key,
            "name": name,
            "revision": revision,
            "first_revision": revision,
            "epoch": new_epoch(),
            "floor": 0,
            RETENTION_FIELD: DEFAULT_RETENTION_DAYS,
        }

        async def create(session: Session) -> Document:
            await require(self._connection, "projects", project_id, session)
            return await self._insert("environments", made, session)

        return _environment_of(await self._once(request, create))

    @translated
    async def get_environment(self, environment_id: str) -> Environment:
        return _environment_of(await require(self._connection, "environments", environment_id))

    @translated
    async def update_environment(
        self, environment_id: str, settings: EnvironmentSettings, request: Request = PLAINLY
    ) -> Environment:
        wanted = {"name": settings.name, RETENTION_FIELD: settings.retention_days}
        changed = {field: value for field, value in wanted.items() if value is not None}

        async def update(session: Session) -> Document:
            document = await require(self._connection, "environments", environment_id, session)
            if changed:
                await self._connection["environments"].update_one(
                    {"_id": environment_id}, {"$set": changed}, session=session
                )
            return {**document, **changed}

        return _environment_of(await self._once(request, update))

    @translated
    async def delete_environment(self, environment_id: str, request: Request = PLAINLY) -> None:
        async def delete(session: Session) -> Document:
            return await begin_removal(self._connection, environment_id, session)

        await self._once(request, delete)

    @translated
    async def list_environments(self, project_id: str, size: int, token: str) -> Page[Environment]:
        await require(self._connection, "projects", project_id)
        query = {"project": project_id}
        environments = self._connection["environments"]
        return await read_page(
            environments, query, order=BY_KEY, size=size, token=token, decode=_environment_of
        )

    async def _once(
        self, request: Request, body: Callable[[Session], Coroutine[Any, Any, Document]]
    ) -> Document:
        return await once(self._connection, INSTALLATION, request, body)

    async def _insert(self, collection: str, document: Document, session: Session) -> Document:
        try:
            await self._connection[collection].insert_one(document, session=session)
        except DuplicateKeyError:
            singular = collection.removesuffix("s")
            raise AlreadyExists(f"{singular} {document['key']!r} already exists") from None
        return document


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
        retention_days=document.get(RETENTION_FIELD, DEFAULT_RETENTION_DAYS),
    )
