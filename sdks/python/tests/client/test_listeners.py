from __future__ import annotations

from featmesh import Client, Context, Status
from featmesh.testing import TestData

from .frames import ADA


def test_a_flags_listener_hears_of_that_flag_alone() -> None:
    data = TestData().set("mine", 1).set("other", 1)
    client = Client.for_testing(data)
    heard: list[str] = []
    unsubscribe = client.on_flag_change("mine", heard.append)
    data.set("other", 2).set("mine", 2)
    unsubscribe()
    data.set("mine", 3)
    assert heard == ["mine"]


def test_a_values_listener_hears_the_old_and_the_new_value_of_its_context() -> None:
    data = TestData().set("banner", "hello")
    client = Client.for_testing(data)
    heard: list[tuple[str, str]] = []
    client.on_value_change("banner", ADA, "default", lambda old, new: heard.append((old, new)))
    data.set_for("bob", "banner", "only for bob")
    data.set_for("ada", "banner", "hello ada")
    data.delete("banner")
    assert heard == [("hello", "hello ada"), ("hello ada", "default")]


def test_a_values_listener_reads_the_type_of_its_default() -> None:
    data = TestData().set("on", False).set("limit", 1).set("doc", [1])
    client = Client.for_testing(data)
    heard: list[object] = []
    client.on_value_change("on", ADA, False, lambda _, new: heard.append(new))
    client.on_value_change("limit", ADA, 0.0, lambda _, new: heard.append(new))
    client.on_value_change("doc", ADA, None, lambda _, new: heard.append(new))
    data.set("on", True).set("limit", 2).set("doc", [1, 2]).set("on", "a text now")
    assert heard == [True, 2.0, [1, 2], False]


def test_a_values_listener_counts_no_evaluation_and_never_raises() -> None:
    client = Client.for_testing(TestData().set("on", True))
    heard: list[object] = []
    client.on_value_change("on", Context(""), False, lambda old, new: heard.append((old, new)))
    assert heard == []


def test_a_status_listener_hears_each_status_once() -> None:
    client = Client.for_testing(TestData())
    heard: list[Status] = []
    client.on_status_change(heard.append)
    client.close()
    client.close()
    assert heard == [Status.CLOSED]
