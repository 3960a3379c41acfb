from __future__ import annotations

import io
import json
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from featmesh.engine.model import Attribute, Context
from featmesh.management.v1.end_user_service_pb2 import EndUser, ImportedUser
from featmesh.wire import context_from_proto, context_to_proto
from featmesh_cli.contexts import attribute_from_text, attribute_to_text
from featmesh_cli.errors import CommandError
from featmesh_cli.user_files import (
    CsvWriter,
    JsonLinesWriter,
    Lines,
    Refused,
    lines,
    read_csv,
    read_json_lines,
)

Read = Iterable[ImportedUser | Refused]


def json_lines(text: str | bytes) -> list[tuple[int, Any]]:
    return outcomes(read_json_lines(lines_of(text)))


def csv(text: str | bytes) -> list[tuple[int, Any]]:
    return outcomes(read_csv(lines_of(text)))


def lines_of(text: str | bytes) -> Lines:
    return Lines(io.BytesIO(text.encode() if isinstance(text, str) else text))


def outcomes(read: Read) -> list[tuple[int, Any]]:
    """Line and context of each user, line and fault of each refusal."""
    return [
        (each.line, f"{each.field}: {each.reason}")
        if isinstance(each, Refused)
        else (each.line, context_from_proto(each.context))
        for each in read
    ]


def test_a_json_line_is_a_user() -> None:
    record = {
        "key": "ada",
        "name": "Ada",
        "attributes": {"plan": "pro", "age": 36, "paying": True, "groups": ["a", "b"]},
        "first_seen": "2026-05-04T12:30:00Z",
        "last_seen": "2026-05-04T14:30:00+01:00",
    }
    (user,) = read_json_lines(lines_of(json.dumps(record)))
    assert isinstance(user, ImportedUser)
    expected = Context(
        "ada", "Ada", {"plan": "pro", "age": 36, "paying": True, "groups": ("a", "b")}
    )
    assert context_from_proto(user.context) == expected
    assert user.first_seen.ToJsonString() == "2026-05-04T12:30:00Z"
    assert user.last_seen.ToJsonString() == "2026-05-04T13:30:00Z"


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ('{"key": "ada"', "line: is not JSON: "),
        ("[1]", "line: is not a JSON object"),
        ('{"key": 7}', "key: must be text"),
        ('{"key": "x", "nmae": "Ada"}', "nmae: is no field of a user"),
        ('{"key": "x", "attributes": [1]}', "attributes: must be an object"),
        ('{"key": "x", "attributes": {"a": null}}', "attributes.a: must be a text, a number"),
        ('{"key": "x", "attributes": {"a": {"b": 1}}}', "attributes.a: must be a text, a number"),
        ('{"key": "x", "attributes": {"a": [1]}}', "attributes.a: must be a text, a number"),
        ('{"key": "x", "attributes": {"a": NaN}}', "line: is not JSON: NaN is no JSON value"),
        ('{"key": "x", "attributes": {"a": 1e999}}', "attributes.a: is not a finite number"),
        ('{"key": "x", "attributes": {"a": 1%s}}' % ("0" * 400), "attributes.a: is not a finite"),
        ('{"key": "x", "last_seen": "yesterday"}', "last_seen: is no time such as"),
        ('{"key": "x", "last_seen": 5}', "last_seen: is no time such as"),
        ('{"key": "\\ud800"}', "key: is not valid text"),
        ('{"key": "x", "attributes": {"\\ud800": 1}}', "attributes.\\ud800: is not valid text"),
        ("[" * 100_000, "line: is nested too deeply"),
    ],
)
def test_a_malformed_json_line_is_refused_and_loses_nothing_else(line: str, fault: str) -> None:
    found = json_lines(f'{{"key": "before"}}\n{line}\n\n{{"key": "after"}}')
    assert [number for number, _ in found] == [1, 2, 4]
    assert (found[0][1], found[2][1]) == (Context("before"), Context("after"))
    assert found[1][1].startswith(fault)


def test_bytes_that_are_no_utf_8_are_refused_and_a_byte_order_mark_is_not() -> None:
    found = json_lines(b'\xef\xbb\xbf{"key": "ada"}\r\n{"key": "\xff"}\n{"key": "bob"}')
    assert found == [(1, Context("ada")), (2, "line: is not valid UTF-8"), (3, Context("bob"))]


def test_a_line_that_is_too_long_is_refused_and_the_next_one_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lines, "MAX_LINE_BYTES", 64)
    monkeypatch.setattr(lines, "_READ_BYTES", 16)
    found = json_lines(f'{{"key": "{"x" * 200}"}}\n{{"key": "ada"}}')
    assert found == [(1, "line: is longer than 64 bytes"), (2, Context("ada"))]


def test_a_csv_record_is_a_user_whose_other_columns_are_attributes() -> None:
    text = (
        "key,name,plan,age,paying,groups,attributes.name,empty\n"
        'ada,Ada,pro,36,true,"[""a"", ""b""]",nick,\n'
        'bob,,"a, b\nc",0036,True,,,""""""\n'
    )
    assert csv(text) == [
        (
            2,
            Context(
                "ada",
                "Ada",
                {"plan": "pro", "age": 36, "paying": True, "groups": ("a", "b"), "name": "nick"},
            ),
        ),
        (
            3,
            Context("bob", "", {"plan": "a, b\nc", "age": "0036", "paying": "True", "empty": ""}),
        ),
    ]


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("ada", "line: has 1 cells; the header has 2"),
        ("ada,1,2", "line: has 3 cells; the header has 2"),
        ('"ada,1', "line: is not CSV: a quote is open"),
        ('"ada" x,1', "line: is not CSV: a quote is open"),
    ],
)
def test_a_malformed_csv_record_is_refused_and_loses_nothing_else(line: str, fault: str) -> None:
    found = csv(f"key,plan\nbefore,x\n{line}\n\nafter,y\nlast,z\n")
    assert [number for number, _ in found] == [2, 3, 5, 6]
    assert found[1][1].startswith(fault)
    assert [each.key for _, each in (found[0], *found[2:])] == ["before", "after", "last"]


def test_two_quotes_that_are_never_closed_lose_their_own_lines_alone() -> None:
    found = csv('key,plan\n"a,1\nb,2\n"c,3\nd,4\n')
    assert [number for number, _ in found] == [2, 3, 4, 5]
    assert [each.key for _, each in found if isinstance(each, Context)] == ["b", "d"]


def test_a_quote_inside_a_cell_is_text() -> None:
    assert csv('key,screen\nada,5" wide\nbob,6\n') == [
        (2, Context("ada", "", {"screen": '5" wide'})),
        (3, Context("bob", "", {"screen": 6})),
    ]


@pytest.mark.parametrize(
    ("header", "fault"),
    [
        ("", "line 1: must be the header"),
        ("name,plan", "line 1: the header has no column 'key'"),
        ("key,plan,plan", "line 1: each column needs a name of its own"),
        ("key,,plan", "line 1: each column needs a name of its own"),
    ],
)
def test_a_csv_file_without_a_good_header_is_refused_whole(header: str, fault: str) -> None:
    with pytest.raises(CommandError) as caught:
        csv(f"{header}\nada,x,y\n")
    assert str(caught.value).startswith(fault)


def _encodes(value: Attribute) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


texts = st.text(st.characters(codec="utf-8"), max_size=20)
attributes: st.SearchStrategy[Attribute] = st.one_of(
    st.text(max_size=20),
    st.sampled_from(["true", "42", '"x"', '["a"]', "NaN", "1e5", "", "12345678901234567890"]),
    st.booleans(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.lists(st.text(max_size=5), max_size=3).map(tuple),
)
contexts = st.builds(
    Context,
    texts.filter(bool),
    texts,
    st.dictionaries(texts.filter(bool), attributes.filter(_encodes), max_size=4),
)


@given(attributes)
def test_an_attribute_as_text_is_read_as_the_same_attribute(value: Attribute) -> None:
    read = attribute_from_text(attribute_to_text(value))
    assert (type(read), read) == (type(value), value)


@given(st.lists(contexts, max_size=4))
def test_what_was_exported_is_imported_as_it_was(users: list[Context]) -> None:
    names = sorted({name for user in users for name in user.attributes})
    for form in ("csv", "jsonl"):
        file = io.StringIO(newline="")
        writer = CsvWriter(file, names) if form == "csv" else JsonLinesWriter(file)
        for user in users:
            writer.write(EndUser(context=context_to_proto(user)))
        read = csv if form == "csv" else json_lines
        assert [each for _, each in read(file.getvalue())] == users
