from __future__ import annotations

from typing import Any

import grpc

from featmesh.management.v1 import sdk_key_service_pb2 as pb
from services.runtime.secrets import hash_secret
from services.storage.model.credentials import SdkKeyKind
from services.storage.mongodb import MongoStore
from tests.support.api import ApiClient
from tests.support.resources import Environment
from tests.support.statuses import violations


async def create(
    api: ApiClient,
    environment: Environment,
    display_name: str,
    kind: pb.SdkKeyKind.ValueType = pb.SDK_KEY_KIND_SERVER,
) -> Any:
    request = pb.CreateSdkKeyRequest(
        parent=environment.name, sdk_key=pb.SdkKey(kind=kind, display_name=display_name)
    )
    return await api.call(api.sdk_keys.CreateSdkKey, request)


async def test_an_sdk_keys_secret_is_shown_once_and_stored_as_a_hash(
    api: ApiClient, environment: Environment, store: MongoStore
) -> None:
    created = await create(api, environment, "Browser", pb.SDK_KEY_KIND_CLIENT)
    found = await store.credentials.find_sdk_key(hash_secret(created.secret))
    listing = pb.ListSdkKeysRequest(parent=environment.name)
    listed = await api.call(api.sdk_keys.ListSdkKeys, listing)

    assert created.secret.startswith("fmc_")
    assert created.secret.endswith(created.sdk_key.last_characters)
    assert found is not None
    assert found.content.kind is SdkKeyKind.CLIENT
    assert list(listed.sdk_keys) == [created.sdk_key]
    get = pb.GetSdkKeyRequest(name=created.sdk_key.name)
    assert (await api.call(api.sdk_keys.GetSdkKey, get)).sdk_key == created.sdk_key


async def test_revoking_an_sdk_key_twice_keeps_the_first_time(
    api: ApiClient, environment: Environment
) -> None:
    created = await create(api, environment, "Server")
    request = pb.RevokeSdkKeyRequest(name=created.sdk_key.name)
    first = await api.call(api.sdk_keys.RevokeSdkKey, request)
    assert first.sdk_key.HasField("revoked_at")
    assert await api.call(api.sdk_keys.RevokeSdkKey, request) == first


async def test_a_key_is_renamed_and_neither_its_kind_nor_its_secret_changes(
    api: ApiClient, environment: Environment, store: MongoStore
) -> None:
    created = await create(api, environment, "Server")
    sent = pb.SdkKey(name=created.sdk_key.name, display_name="Backend", kind=pb.SDK_KEY_KIND_CLIENT)
    request = pb.UpdateSdkKeyRequest(sdk_key=sent, base_version=1)
    updated = (await api.call(api.sdk_keys.UpdateSdkKey, request)).sdk_key
    assert (updated.display_name, updated.kind) == ("Backend", pb.SDK_KEY_KIND_SERVER)
    assert updated.last_characters == created.sdk_key.last_characters
    assert await store.credentials.find_sdk_key(hash_secret(created.secret)) is not None


async def test_a_key_is_deleted_once_it_is_revoked(
    api: ApiClient, environment: Environment
) -> None:
    created = await create(api, environment, "Server")
    delete = pb.DeleteSdkKeyRequest(name=created.sdk_key.name)
    error = await api.refused(api.sdk_keys.DeleteSdkKey, delete)
    assert error.code() == grpc.StatusCode.FAILED_PRECONDITION
    await api.call(api.sdk_keys.RevokeSdkKey, pb.RevokeSdkKeyRequest(name=created.sdk_key.name))
    await api.call(api.sdk_keys.DeleteSdkKey, delete)
    get = pb.GetSdkKeyRequest(name=created.sdk_key.name)
    missing = await api.refused(api.sdk_keys.GetSdkKey, get)
    assert missing.code() == grpc.StatusCode.NOT_FOUND


async def test_a_key_needs_a_kind(api: ApiClient, environment: Environment) -> None:
    request = pb.CreateSdkKeyRequest(
        parent=environment.name, sdk_key=pb.SdkKey(display_name="No kind")
    )
    error = await api.refused(api.sdk_keys.CreateSdkKey, request)
    assert set(violations(error)) == {"sdk_key.kind"}


async def test_keys_are_filtered_by_kind_and_name(api: ApiClient, environment: Environment) -> None:
    await create(api, environment, "Server")
    await create(api, environment, "Browser", pb.SDK_KEY_KIND_CLIENT)
    for text, names in (("kind = CLIENT", ["Browser"]), ("display_name:serv", ["Server"])):
        request = pb.ListSdkKeysRequest(parent=environment.name, filter=text)
        listed = await api.call(api.sdk_keys.ListSdkKeys, request)
        assert [each.display_name for each in listed.sdk_keys] == names
        assert listed.total_size == 1
