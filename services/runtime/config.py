"""Configuration: read once from the environment, all faults reported together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass


class ConfigError(Exception):
    """One or several variables are wrong; ``str()`` has a line for each."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = tuple(faults)


@contextmanager
def faults_named(prefix: str = "") -> Iterator[None]:
    """A ValueError within becomes a `ConfigError`, its text behind the prefix."""
    try:
        yield
    except ValueError as error:
        raise ConfigError([f"{prefix}{error}"]) from error


@dataclass(frozen=True, slots=True)
class Address:
    """A host and a port to listen on; port 0 takes a free one."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


class EnvironmentReader:
    """Reads variables, collects faults, and raises them all in `finish`.

    A faulty variable reads as its default, so that reading can go on to the next fault.
    """

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables
        self._faults: list[str] = []

    def text(self, name: str, default: str | None) -> str:
        """A non-empty text; ``default`` None makes the variable required."""
        value = self._variables.get(name, "").strip()
        if value:
            return value
        if default is None:
            self._faults.append(f"{name} is required and not set")
            return ""
        return default

    def url(self, name: str, schemes: tuple[str, ...]) -> str:
        """A required URL with one of ``schemes`` and a host; a fault does not quote it.

        It may hold a password. Whatever else it needs to be is for its driver to say.
        """
        value = self.text(name, None)
        scheme, _, rest = value.partition("://")
        if value and (scheme not in schemes or not rest.strip("/")):
            known = " or ".join(f"{each}://" for each in schemes)
            self._faults.append(f"{name} must be a URL that begins with {known}")
        return value

    def choice(self, name: str, default: str, choices: tuple[str, ...]) -> str:
        """One of ``choices``, in any case; returned as it stands there."""
        value = self.text(name, default)
        for each in choices:
            if each.casefold() == value.casefold():
                return each
        self._faults.append(f"{name} is {value!r}; it must be one of {', '.join(choices)}")
        return default

    def number(self, name: str, default: float, *, low: float, high: float) -> float:
        """A finite number from ``low`` to ``high``."""
        value = self.text(name, repr(default))
        try:
            number = float(value)
        except ValueError:
            number = float("nan")
        if low <= number <= high:
            return number
        self._faults.append(f"{name} is {value!r}; it must be a number from {low:g} to {high:g}")
        return default

    def integer(self, name: str, default: int, *, low: int, high: int) -> int:
        """A whole number from ``low`` to ``high``."""
        number = self.number(name, default, low=low, high=high)
        if number == int(number):
            return int(number)
        self._faults.append(f"{name} is {number:g}; it must be a whole number")
        return default

    def optional_days(self, name: str, *, low: int, high: int) -> int:
        """Days from ``low`` to ``high``, or 0, the default, which stands for ever."""
        days = self.integer(name, 0, low=0, high=high)
        if 0 < days < low:
            self._faults.append(f"{name} is {days}; it must be 0 or from {low} to {high}")
            return 0
        return days

    def address(self, name: str, default: Address) -> Address:
        """``host:port`` or ``[v6]:port``."""
        value = self.text(name, str(default))
        host, _, port = value.rpartition(":")
        if host and port.isascii() and port.isdigit() and int(port) <= 65_535:
            return Address(host.strip("[]"), int(port))
        self._faults.append(f"{name} is {value!r}; it must be host:port, as in {default}")
        return default

    def optional_address(self, name: str) -> Address | None:
        """``host:port`` or ``[v6]:port``; None when the variable is not set."""
        if not self.text(name, ""):
            return None
        return self.address(name, Address("127.0.0.1", 9464))

    def finish(self) -> None:
        """Raises `ConfigError` if any variable was wrong."""
        if self._faults:
            raise ConfigError(self._faults)
