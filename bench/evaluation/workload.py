"""The flags and users that every SDK is measured with, said once and free of any format."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

SEGMENT: str = "loyal"
ATTRIBUTE: str = "text"
PATTERN: str = "(a+)+b"
PATTERN_SIZES = (20, 1_000, 10_000, 100_000)
"""Lengths of the text; a backtracking engine doubles its time with every byte."""

PEERS_PATTERN_SIZE = 20
BULK = 3_000
COUNTRIES = ("cn", "de", "es", "fr", "it", "jp", "pt", "us")


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagSpec:
    """A boolean flag. True for its targets; else true where its rule holds; else for a share.

    Attributes:
        key: The flag's key.
        targets: Keys of users.
        countries: The rule's first clause: `country` is one of these.
        adult: The rule's second clause: `age` is at least 18.
        segment: The rule is that the user is in `SEGMENT`.
        pattern: The rule is that `ATTRIBUTE` matches `PATTERN`.
        share: Percent of all other users, 0, 50 or 100.
    """

    key: str
    targets: tuple[str, ...] = ()
    countries: tuple[str, ...] = ()
    adult: bool = False
    segment: bool = False
    pattern: bool = False
    share: int = 0


@dataclass(frozen=True, slots=True)
class User:
    """A user of the application."""

    key: str
    country: str
    age: int
    text: str = ""


@dataclass(frozen=True, slots=True)
class Work:
    """A flag to evaluate for all users, and the goals that the project has set, in us."""

    name: str
    flag: FlagSpec
    goal: float | None = None
    goal_with_events: float | None = 5.0


USERS = tuple(
    User(f"user-{number}", COUNTRIES[number % len(COUNTRIES)], 10 + number % 40)
    for number in range(100)
)
MEMBERS = frozenset(f"user-{2 * number}" for number in range(10_000))
"""The keys that the segment lists: every second user is one."""

TARGETS = tuple(f"user-{3 * number}" for number in range(1_000))
"""Every third user is one."""

WORKS = (
    Work("static flag", FlagSpec(key="static", share=100), goal=1.0),
    Work(
        "rule of two clauses",
        FlagSpec(key="two-clauses", countries=("de", "es", "fr", "it"), adult=True),
        goal=3.0,
    ),
    Work("50 % rollout", FlagSpec(key="rollout", share=50)),
    Work("list of 1,000 targets", FlagSpec(key="targets", targets=TARGETS)),
    Work("segment of 10,000 keys", FlagSpec(key="segment", segment=True)),
)
PATTERN_FLAG = FlagSpec(key="pattern", pattern=True)


def flags() -> list[FlagSpec]:
    """All flags that are evaluated."""
    return [*(work.flag for work in WORKS), PATTERN_FLAG]


def bulk() -> list[FlagSpec]:
    """Flags to load: each with three targets, a rule of two clauses and a rollout."""
    return [
        FlagSpec(
            key=f"flag-{number}",
            targets=tuple(f"user-{number + each}" for each in range(3)),
            countries=("de", "es", "fr"),
            adult=True,
            share=50,
        )
        for number in range(BULK)
    ]


def pattern_user(size: int) -> User:
    """A user whose text of that many bytes almost matches, which is what hurts."""
    return User("user-0", "de", 20, "a" * size)


def expected(flag: FlagSpec, user: User) -> bool | None:
    """What must be served; None where each SDK's own hash decides."""
    if user.key in flag.targets or _rule_holds(flag, user):
        return True
    return None if flag.share == 50 else flag.share == 100


def wrong_answers(
    flag: FlagSpec, users: Sequence[User], answers: Sequence[object]
) -> Iterator[str]:
    """A sentence for each user with another answer, and for a rollout that is lopsided."""
    for user, answer in zip(users, answers, strict=True):
        wanted = expected(flag, user)
        if not isinstance(answer, bool) or (wanted is not None and answer is not wanted):
            yield f"{flag.key} for {user.key} is {answer!r}, not {wanted}"
    if flag.share == 50 and not 0.3 < answers.count(True) / len(answers) < 0.7:
        yield f"{flag.key} is true for {answers.count(True)} of {len(answers)}"


def _rule_holds(flag: FlagSpec, user: User) -> bool:
    if flag.segment:
        return user.key in MEMBERS
    return bool(flag.countries) and user.country in flag.countries and user.age >= 18
