"""Points in time as milliseconds since the epoch."""

from __future__ import annotations

import re

from featmesh.engine.numbers import parse_number

_RFC_3339 = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt]"
    r"([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]+))?"
    r"(?:[Zz]|([+-])([0-9]{2}):([0-9]{2}))"
)
_MONTH_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_DAY_SECONDS = 86_400


def parse_time(value: object) -> float | None:
    """Milliseconds since the epoch, or None for what is no point in time.

    A text is a date-time of RFC 3339 (date, ``T``, time and offset are required) or a
    decimal number of milliseconds. A fraction of a second counts to the millisecond and
    is cut there, which every language's clock type can hold. A leap second is the first
    second of the next minute.
    """
    if isinstance(value, str):
        found = _RFC_3339.fullmatch(value)
        if found is not None:
            return _milliseconds(found.groups(default=""))
    return parse_number(value)


def _milliseconds(parts: tuple[str, ...]) -> float | None:
    year, month, day, hour, minute, second = map(int, parts[:6])
    fraction, sign, offset_hour, offset_minute = parts[6:]
    if not _is_date(year, month, day) or hour > 23 or minute > 59 or second > 60:
        return None
    offset = 0
    if sign:
        if int(offset_hour) > 23 or int(offset_minute) > 59:
            return None
        offset = int(sign + "1") * (int(offset_hour) * 3600 + int(offset_minute) * 60)
    seconds = _days(year, month, day) * _DAY_SECONDS + hour * 3600 + minute * 60 + second
    return float((seconds - offset) * 1000 + int(fraction[:3].ljust(3, "0")))


def _is_date(year: int, month: int, day: int) -> bool:
    if not 1 <= month <= 12:
        return False
    leap_day = month == 2 and year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return 1 <= day <= _MONTH_DAYS[month - 1] + leap_day


def _days(year: int, month: int, day: int) -> int:
    """Days since the epoch in the proleptic Gregorian calendar.

    Howard Hinnant's days_from_civil, https://howardhinnant.github.io/date_algorithms.html;
    unlike the standard library's it knows the year 0000, which RFC 3339 allows.
    """
    year -= month <= 2
    era, year_of_era = divmod(year, 400)
    day_of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    day_of_era = year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year
    return era * 146_097 + day_of_era - 719_468
