from __future__ import annotations

from featmesh.management.v1 import tag_service_pb2 as pb
from tests.support.api import ApiClient
from tests.support.resources import Environment


async def test_a_tag_has_a_description_and_a_colour(
    api: ApiClient, environment: Environment
) -> None:
    project = environment.name.rpartition("/environments/")[0]
    tag = pb.Tag(key="checkout", display_name="Checkout", description="Basket", color="#1f77b4")
    await api.call(api.tags.CreateTag, pb.CreateTagRequest(parent=project, tag=tag))
    page = await api.call(api.tags.ListTags, pb.ListTagsRequest(parent=project, filter="key:che*"))
    (found,) = page.tags
    assert (found.name, page.total_size) == (f"{project}/tags/checkout", 1)
    assert (found.description, found.color) == ("Basket", "#1f77b4")


async def test_a_colour_that_is_none_is_refused(api: ApiClient, environment: Environment) -> None:
    project = environment.name.rpartition("/environments/")[0]
    tag = pb.Tag(key="checkout", display_name="Checkout", color="blue")
    refused = await api.refused(api.tags.CreateTag, pb.CreateTagRequest(parent=project, tag=tag))
    assert "tag.color: is 'blue'; a colour is written #rrggbb" in str(refused.details())
