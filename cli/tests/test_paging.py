from __future__ import annotations

import grpc
import pytest

from featmesh.management.v1.page_pb2 import PageRequest
from featmesh_cli.errors import CommandError
from featmesh_cli.paging import all_pages


class Refused(grpc.RpcError):
    def __init__(self, code: grpc.StatusCode) -> None:
        self._code = code

    def code(self) -> grpc.StatusCode:
        return self._code


class Shelf:
    """So many items, of which so many at once can be received."""

    def __init__(self, items: int, receivable: int) -> None:
        self.items = list(range(items))
        self.receivable = receivable
        self.asked: list[int] = []

    def fetch(self, page: PageRequest) -> tuple[list[int], str]:
        self.asked.append(page.size)
        if page.size > self.receivable:
            raise Refused(grpc.StatusCode.RESOURCE_EXHAUSTED)
        start = int(page.token or 0)
        end = start + page.size
        return self.items[start:end], str(end) if end < len(self.items) else ""


def test_a_page_that_is_too_large_is_asked_for_in_smaller_ones() -> None:
    shelf = Shelf(items=100, receivable=62)
    assert list(all_pages(shelf.fetch)) == shelf.items
    assert shelf.asked == [500, 62, 62], "what was learnt is kept for the next page"


def test_a_limit_holds_with_smaller_pages() -> None:
    shelf = Shelf(items=100, receivable=6)
    assert list(all_pages(shelf.fetch, limit=50)) == shelf.items[:50]
    assert max(shelf.asked[1:]) == 6


def test_a_limit_that_leaves_some_out_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    shelf = Shelf(items=100, receivable=500)
    assert list(all_pages(shelf.fetch, limit=50)) == shelf.items[:50]
    assert capsys.readouterr().err == "The first 50; there may be more.\n"
    assert list(all_pages(shelf.fetch, limit=100)) == shelf.items
    assert not capsys.readouterr().err


def test_a_list_that_does_not_end_is_an_error_and_not_taken_for_a_whole_one() -> None:
    def fetch(page: PageRequest) -> tuple[list[int], str]:
        return [1], "more"

    with pytest.raises(CommandError, match="2,000 pages"):
        list(all_pages(fetch))


def test_one_item_that_is_too_large_is_an_error() -> None:
    shelf = Shelf(items=3, receivable=0)
    with pytest.raises(grpc.RpcError):
        list(all_pages(shelf.fetch))
    assert shelf.asked[-1] == 1


def test_any_other_refusal_is_not_tried_again() -> None:
    asked: list[int] = []

    def fetch(page: PageRequest) -> tuple[list[int], str]:
        asked.append(page.size)
        raise Refused(grpc.StatusCode.NOT_FOUND)

    with pytest.raises(Refused):
        list(all_pages(fetch))
    assert len(asked) == 1
