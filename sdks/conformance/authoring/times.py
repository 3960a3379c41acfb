"""BEFORE and AFTER."""

# ruff: noqa: E501  # a row of a table is one line
from __future__ import annotations

import math

from sdks.conformance.authoring.suite import MISSING, UNSET, Suite
from sdks.conformance.authoring.tables import OrderRow, orders

NEW_YEAR = "2024-01-01T00:00:00Z"
"""1,704,067,200,000 ms after the epoch."""

COMPARED: list[OrderRow] = [
    ("before", "A second earlier is before", "2023-12-31T23:59:59Z", NEW_YEAR, "<"),
    ("same", "A time is neither before nor after itself", NEW_YEAR, NEW_YEAR, "="),
    ("after", "A second later is after", "2024-01-01T00:00:01Z", NEW_YEAR, ">"),
    ("offset", "Both are the same instant", "2024-01-01T01:00:00+01:00", NEW_YEAR, "="),
    ("negative-offset", "Both are the same instant", "2023-12-31T18:30:00-05:30", NEW_YEAR, "="),
    ("offset-decides", "The later local time is earlier", "2024-01-01T09:00:00+10:00", NEW_YEAR, "<"),
    ("unknown-offset", "-00:00 is UTC", "2024-01-01T00:00:00-00:00", NEW_YEAR, "="),
    ("largest-offset", "An offset is at most 23:59", "2024-01-01T23:59:00+23:59", NEW_YEAR, "="),
    ("small-letters", "t and z may be small", "2024-01-01t00:00:00z", NEW_YEAR, "="),
    ("millisecond", "A millisecond counts", "2024-01-01T00:00:00.001Z", NEW_YEAR, ">"),
    ("tenth", ".1 is 100 milliseconds", "2024-01-01T00:00:00.1Z", "2024-01-01T00:00:00.100Z", "="),
    ("cut", "What is below a millisecond is cut", "2024-01-01T00:00:00.0009Z", NEW_YEAR, "="),
    ("cut-not-rounded", "Milliseconds are cut, not rounded", "2024-01-01T00:00:00.9999999Z", "2024-01-01T00:00:00.999Z", "="),
    ("long-fraction", "A fraction has any number of digits", f"2024-01-01T00:00:00.{'1' * 30}Z", "2024-01-01T00:00:00.111Z", "="),
    ("leap-second", "A leap second is the next minute's first", "2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z", "="),
    ("leap-second-anywhere", "Second 60 is taken in any minute", "2024-01-01T00:00:60Z", "2024-01-01T00:01:00Z", "="),
    ("leap-day", "2024 has a leap day", "2024-02-29T00:00:00Z", "2024-02-28T23:59:59Z", ">"),
    ("leap-day-2000", "2000 has a leap day", "2000-02-29T00:00:00Z", "2000-03-01T00:00:00Z", "<"),
    ("before-epoch", "Times before the epoch are times", "1969-12-31T23:59:59.999Z", "-1", "="),
    ("year-0000", "The year 0000 is a year", "0000-03-01T00:00:00Z", "-62162035200000", "="),
    ("year-9999", "The year 9999 is a year", "9999-12-31T23:59:59.999Z", "253402300799999", "="),
    ("number", "A number is milliseconds", 1704067200000.0, NEW_YEAR, "="),
    ("number-below", "A number is milliseconds, not seconds", 1704067200.0, NEW_YEAR, "<"),
    ("number-text", "A text of digits is milliseconds", "1704067200001", NEW_YEAR, ">"),
    ("number-operand", "The value may be milliseconds", NEW_YEAR, "1704067200000", "="),
    ("number-blanks", "Blanks around milliseconds are ignored", " 1704067200000\n", NEW_YEAR, "="),
    ("number-exponent", "Milliseconds may have an exponent", "1.7040672e12", NEW_YEAR, "="),
    ("number-fraction", "A number keeps its fraction", 1.5, "1", ">"),
    ("zero", "0 is the epoch", 0.0, "1970-01-01T00:00:00Z", "="),
]  # fmt: skip

REFUSED: list[OrderRow] = [
    (row_id, says, text, "1970-01-01T00:00:00Z", "")
    for row_id, says, text in [
        ("empty", "The empty text is no time", ""),
        ("word", "A word is no time", "now"),
        ("date", "A date is no point in time", "2024-01-01"),
        ("no-offset", "An offset is required", "2024-01-01T00:00:00"),
        ("no-seconds", "Seconds are required", "2024-01-01T00:00Z"),
        ("space", "T is required", "2024-01-01 00:00:00Z"),
        ("basic-format", "Hyphens and colons are required", "20240101T000000Z"),
        ("short-offset", "An offset has minutes", "2024-01-01T00:00:00+01"),
        ("offset-no-colon", "An offset has a colon", "2024-01-01T00:00:00+0100"),
        ("offset-24", "An offset is at most 23:59", "2024-01-01T00:00:00+24:00"),
        ("offset-60", "An offset has at most 59 minutes", "2024-01-01T00:00:00+00:60"),
        ("named-zone", "A named zone is not allowed", "2024-01-01T00:00:00 UTC"),
        ("month-13", "There is no month 13", "2024-13-01T00:00:00Z"),
        ("month-00", "There is no month 0", "2024-00-01T00:00:00Z"),
        ("day-00", "There is no day 0", "2024-01-00T00:00:00Z"),
        ("day-32", "There is no January 32", "2024-01-32T00:00:00Z"),
        ("april-31", "There is no April 31", "2024-04-31T00:00:00Z"),
        ("leap-day-2023", "2023 has no leap day", "2023-02-29T00:00:00Z"),
        ("leap-day-1900", "1900 had no leap day", "1900-02-29T00:00:00Z"),
        ("hour-24", "There is no hour 24", "2024-01-01T24:00:00Z"),
        ("minute-60", "There is no minute 60", "2024-01-01T00:60:00Z"),
        ("second-61", "There is no second 61", "2024-01-01T00:00:61Z"),
        ("empty-fraction", "A fraction has a digit", "2024-01-01T00:00:00.Z"),
        ("comma", "A fraction has a dot", "2024-01-01T00:00:00,5Z"),
        ("long-year", "A year has four digits", "12024-01-01T00:00:00Z"),
        ("one-digit-month", "A month has two digits", "2024-1-01T00:00:00Z"),
        ("blank-before", "Blanks around a date-time are not ignored", " 2024-01-01T00:00:00Z"),
        ("newline", "Line ends are not ignored", "2024-01-01T00:00:00Z\n"),
        ("arabic-digits", "Only ASCII digits are allowed", "\u0662024-01-01T00:00:00Z"),
        ("week-date", "Week dates are not allowed", "2024-W01-1T00:00:00Z"),
        ("http-date", "Other formats are not allowed", "Mon, 01 Jan 2024 00:00:00 GMT"),
        ("overflow", "The number is not finite", "1e400"),
    ]
]

ODD: list[OrderRow] = [
    ("missing", "A missing attribute is no time", MISSING, NEW_YEAR, ""),
    ("unset", "An attribute of no kind is a missing one", UNSET, NEW_YEAR, ""),
    ("boolean", "A boolean is no time", True, NEW_YEAR, ""),
    ("nan", "NaN is no time", math.nan, NEW_YEAR, ""),
    ("infinity", "Infinity is no time", math.inf, NEW_YEAR, ""),
    ("no-values", "There is no value to compare with", NEW_YEAR, (), ""),
    ("operand-date", "The value is no point in time", NEW_YEAR, "2024-01-01", ""),
    ("operand-empty", "The empty value is no time", NEW_YEAR, "", ""),
    ("several-around", "The time is between the values", 5.0, ("1", "9"), "<>"),
    ("several-above", "The time is before both values", 5.0, ("7", "9"), "<"),
    ("several-one-word", "The value that is no time is passed over", 5.0, ("x", "1"), ">"),
    ("list", "One element is before and one after", ("x", "1", "9"), "5", "<>"),
    ("list-none", "No element is a time", ("x", ""), "5", ""),
    ("list-empty", "An empty list has no element", (), "5", ""),
]


def times() -> Suite:
    """Date-times of RFC 3339, and milliseconds since the epoch."""
    suite = Suite("times", "Points in time as RFC 3339 or milliseconds since the epoch")
    for rows in (COMPARED, REFUSED, ODD):
        orders(suite, "evaluation 4.10", {"BEFORE": "<", "AFTER": ">"}, rows)
    return suite
