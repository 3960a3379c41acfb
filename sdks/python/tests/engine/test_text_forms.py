"""Numbers, versions and times as texts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from featmesh.engine.numbers import number_text, parse_number
from featmesh.engine.semver import parse_version
from featmesh.engine.times import parse_time


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (10.0, "10"),
        (10, "10"),
        (-0.0, "0"),
        (0, "0"),
        (0.1, "0.1"),
        (-2.5, "-2.5"),
        (1e15, "1000000000000000"),
        (1e16, "10000000000000000"),
        (123456789012345680000.0, "123456789012345680000"),
        (-1e20, "-100000000000000000000"),
        (1e21, "1e+21"),
        (1.5e300, "1.5e+300"),
        (0.0001, "0.0001"),
        (0.00001, "0.00001"),
        (0.000001234, "0.000001234"),
        (1e-7, "1e-7"),
        (-1.25e-7, "-1.25e-7"),
        (5e-324, "5e-324"),
        (2**53, "9007199254740992"),
        (2**53 + 1, "9007199254740992"),
        (10**25, "1e+25"),
        (10**400, "Infinity"),
        (-(10**400), "-Infinity"),
        (float("nan"), "NaN"),
        (float("-inf"), "-Infinity"),
    ],
)
def test_numbers_become_text_in_the_shortest_form(number: float, text: str) -> None:
    assert number_text(number) == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_the_text_of_a_number_reads_back_as_the_same_number(number: float) -> None:
    assert parse_number(number_text(number)) == number


PRECEDENCE = [
    "0.0.0-0", "0.0.0", "0.0.1", "0.1", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta",
    "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1", "v1", "1.0.1", "1.2", "1.10",
    "2-rc.1", "2.0.0", "99999999999999999999.0.0", "1" + "0" * 5000,
]  # fmt: skip


def test_versions_have_the_precedence_of_semver() -> None:
    parsed = [parse_version(text) for text in PRECEDENCE]
    for lower, higher in pairwise(parsed):
        assert lower is not None
        assert higher is not None
        assert lower < higher


@pytest.mark.parametrize("text", ["1.2.3+a", "v1.2.3", "1.2.3+b.c-d"])
def test_a_build_and_a_leading_v_do_not_count(text: str) -> None:
    assert parse_version(text) == parse_version("1.2.3")


@pytest.mark.parametrize(
    "text",
    ["", "v", "01.2.3", "1.02", "1.2.3.4", "1.2.3-", "1.2.3-01", "1..2", " 1.2.3", "1.2.3 ",
     "1.2.3\n", "V1", "-1", "1.2.3+", "1.2.3-a..b", "\u0661.0.0", "latest"],
)  # fmt: skip
def test_what_is_no_version(text: str) -> None:
    assert parse_version(text) is None


@given(
    st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30)),  # noqa: DTZ001
    st.integers(-23 * 60 - 59, 23 * 60 + 59),
)
def test_times_agree_with_the_standard_library(moment: datetime, offset: int) -> None:
    moment = moment.replace(microsecond=moment.microsecond // 1000 * 1000, tzinfo=UTC)
    sign = "-" if offset < 0 else "+"
    local = (moment + timedelta(minutes=offset)).replace(tzinfo=None)
    zone = f"{sign}{abs(offset) // 60:02}:{abs(offset) % 60:02}"
    expected = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    assert parse_time(local.isoformat(timespec="milliseconds") + zone) == expected


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1969-12-31T23:59:59.999Z", -1),
        ("0000-03-01T00:00:00Z", -62162035200000),
        ("2000-02-29T00:00:00Z", 951782400000),
        ("2016-12-31T23:59:60Z", 1483228800000),
        ("1970-01-01T00:00:00.0019999Z", 1),
        ("1970-01-01T00:00:00.1Z", 100),
        ("1700000000000", 1700000000000),
        ("-1.5", -1.5),
        (12, 12),
    ],
)
def test_times(text: object, milliseconds: float) -> None:
    assert parse_time(text) == milliseconds


@pytest.mark.parametrize(
    "text",
    ["", "2024-01-01", "2024-01-01T00:00:00", "2024-01-01 00:00:00Z", "2023-02-29T00:00:00Z",
     "1900-02-29T00:00:00Z", "2024-13-01T00:00:00Z", "2024-00-01T00:00:00Z",
     "2024-01-32T00:00:00Z", "2024-01-01T24:00:00Z", "2024-01-01T00:60:00Z",
     "2024-01-01T00:00:61Z", "2024-01-01T00:00:00+24:00", "2024-01-01T00:00:00+00:60",
     "2024-01-01T00:00:00.Z", "2024-01-01T00:00:00Z\n", "now", True, None, (), float("inf")],
)  # fmt: skip
def test_what_is_no_time(text: object) -> None:
    assert parse_time(text) is None
