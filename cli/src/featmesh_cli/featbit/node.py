"""A place in a JSON document that can be read only in the right type.

Reading the wrong type notes a fault with the path and gives an empty value of the right
type, so that one pass finds every fault.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from featmesh_cli.featbit.faults import Faults


@dataclass(frozen=True, slots=True)
class Node:
    """One JSON value, its path and where its faults go."""

    value: object
    path: str
    faults: Faults

    def fault(self, message: str) -> None:
        """Notes that this value is wrong."""
        self.faults.add(self.path, message)

    def is_object(self) -> bool:
        """Whether this is an object; notes a fault if not."""
        if isinstance(self.value, dict):
            return True
        self.fault(f"must be an object, not {_kind(self.value)}")
        return False

    def child(self, name: str) -> Node:
        """The member of that name; a missing one reads as null."""
        value = self.value.get(name) if isinstance(self.value, dict) else None
        return Node(value, f"{self.path}.{name}" if self.path else name, self.faults)

    def elements(self) -> list[Node]:
        """The elements of a list; null is an empty one."""
        if self.value is None:
            return []
        if not isinstance(self.value, list):
            self.fault(f"must be a list, not {_kind(self.value)}")
            return []
        return [
            Node(value, f"{self.path}[{index}]", self.faults)
            for index, value in enumerate(self.value)
        ]

    def objects(self) -> list[Node]:
        """The elements of a list of objects; what is not an object is left out."""
        return [node for node in self.elements() if node.is_object()]

    def text(self) -> str:
        """A text that must be there."""
        if isinstance(self.value, str):
            return self.value
        self.fault("is missing" if self.value is None else _wrong("a text", self.value))
        return ""

    def optional_text(self) -> str:
        """A text; null is the empty one."""
        return "" if self.value is None else self.text()

    def texts(self) -> list[str]:
        """A list of texts; null is an empty one."""
        return [element.text() for element in self.elements()]

    def boolean(self, *, default: bool | None = None) -> bool:
        """True or false; null is the default, and a fault when there is none."""
        if isinstance(self.value, bool):
            return self.value
        if self.value is None and default is not None:
            return default
        self.fault("is missing" if self.value is None else _wrong("true or false", self.value))
        return False

    def fraction(self, *, default: Decimal | None = None) -> Decimal | None:
        """A number from 0 to 1; None after a fault."""
        if self.value is None and default is not None:
            return default
        if isinstance(self.value, bool) or not isinstance(self.value, int | Decimal):
            self.fault(_wrong("a number", self.value))
            return None
        number = Decimal(self.value)
        if not 0 <= number <= 1:
            self.fault(f"must be from 0 to 1, not {number}")
            return None
        return number


def parse_document(content: bytes, faults: Faults) -> Node | None:
    """Parses a file; numbers with a fraction become exact decimals.

    Returns:
        The document's root, or None with a fault noted when it is not JSON.
    """
    try:
        document = json.loads(
            content.decode("utf-8-sig"), parse_float=Decimal, parse_constant=_refuse_constant
        )
    except UnicodeDecodeError as error:
        faults.add("", f"is not UTF-8 (byte {error.start})")
    except json.JSONDecodeError as error:
        faults.add("", f"is not JSON: {error.msg} at line {error.lineno}, column {error.colno}")
    except RecursionError:
        faults.add("", "is not an export: it is nested too deeply")
    except (ValueError, ArithmeticError) as error:  # a number too large even for a decimal
        faults.add("", f"is not JSON: {error}")
    else:
        return Node(document, "", faults)
    return None


def note_duplicates(nodes: Sequence[tuple[Node, str]], what: str) -> None:
    """Notes a fault at each value that stood before; empty ones do not count."""
    first: dict[str, str] = {}
    for node, value in nodes:
        if value and value in first:
            node.fault(f'duplicate {what} "{value}", first at {first[value]}')
        elif value:
            first[value] = node.path


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is not allowed")


def _wrong(expected: str, value: object) -> str:
    return f"must be {expected}, not {_kind(value)}"


def _kind(value: object) -> str:
    kinds: dict[type, str] = {
        dict: "an object",
        list: "a list",
        str: "a text",
        bool: "a boolean",
        int: "a number",
        Decimal: "a number",
    }
    return kinds.get(type(value), "null")
