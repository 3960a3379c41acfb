"""The format of a benchmark record (`docs/benchmarks/<name>.json`): types, reading, writing."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from datetime import date
from typing import Any, Literal

Better = Literal["lower", "higher"]

OWN = "featmesh"  # our rows' subject; every other one is a peer or a reference

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_COMMIT = re.compile(r"[0-9a-f]{7,40}(\+dirty)?|unknown")


class RecordError(ValueError):
    """A record breaks the format; every fault is listed with its path."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = tuple(faults)


@dataclass(frozen=True, slots=True)
class Row:
    """One figure: ``metric`` of ``subject`` doing ``work``, the median of ``rounds``."""

    work: str
    subject: str
    metric: str
    unit: str
    value: float
    min: float
    max: float
    rounds: int
    goal: float | None
    better: Better


@dataclass(frozen=True, slots=True)
class Raw:
    """The value of every round of one row, in the order of measuring."""

    work: str
    subject: str
    metric: str
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Machine:
    """Where it was measured."""

    cores: int
    memory_gib: float
    cpu: str
    kernel: str


@dataclass(frozen=True, slots=True)
class Record:
    """A finished benchmark run."""

    name: str
    date: str  # ISO 8601, UTC
    commit: str  # short hash, "+dirty" if the tree held more than the commit; or "unknown"
    machine: Machine
    versions: dict[str, str]
    method: str
    rows: tuple[Row, ...]
    raw: tuple[Raw, ...] = ()


def encode(record: Record) -> str:
    """The JSON text of ``record``.

    Raises:
        RecordError: the record breaks the format.
    """
    data = asdict(record)
    for row in data["rows"]:
        if row["goal"] is None:
            del row["goal"]
    if not record.raw:
        del data["raw"]
    decode(data := json.loads(json.dumps(data)))
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


def decode(data: object) -> Record:
    """The record in parsed JSON.

    Raises:
        RecordError: it breaks the format, with every fault.
    """
    faults = list(_faults(data))
    if faults or not isinstance(data, dict):
        raise RecordError(faults)
    rows = tuple(Row(**({"goal": None} | row)) for row in data["rows"])
    raw = tuple(Raw(**(each | {"values": tuple(each["values"])})) for each in data.get("raw", []))
    return Record(**(data | {"machine": Machine(**data["machine"]), "rows": rows, "raw": raw}))


def _faults(data: object) -> Iterator[str]:
    shape = list(_shape_faults(data))
    if shape or not isinstance(data, dict):
        yield from shape
        return
    if not _NAME.fullmatch(data["name"]):
        yield "name: want lower-case words joined by '-'"
    if not _is_date(data["date"]):
        yield "date: want YYYY-MM-DD"
    if not _COMMIT.fullmatch(data["commit"]):
        yield "commit: want a short hash, with '+dirty' at most"
    if not data["method"].strip():
        yield "method: is empty"
    if not data["rows"]:
        yield "rows: is empty"
    yield from _row_faults(data["rows"])


def _shape_faults(data: object) -> Iterator[str]:
    """Types and keys of the whole tree."""
    yield from _object_faults("record", data, Record)
    if not isinstance(data, dict):
        return
    if isinstance(machine := data.get("machine"), dict):
        yield from _object_faults("machine", machine, Machine)
    for name, kind in (("rows", Row), ("raw", Raw)):
        for index, entry in _items(data.get(name)):
            yield from _object_faults(f"{name}[{index}]", entry, kind)
    yield from _element_faults(data)


def _element_faults(data: dict[str, Any]) -> Iterator[str]:
    """Elements of the lists and maps that hold no objects."""
    for package, version in _items(data.get("versions")):
        if not isinstance(version, str):
            yield f"versions.{package}: want text"
    for index, raw in _items(data.get("raw")):
        for at, value in _items(raw.get("values") if isinstance(raw, dict) else None):
            if not _has_type(value, (int, float)):
                yield f"raw[{index}].values[{at}]: want a number"


def _items(data: object) -> Iterator[tuple[object, Any]]:
    """What a list or map holds, with the index or key; nothing of anything else."""
    if isinstance(data, list):
        yield from enumerate(data)
    elif isinstance(data, dict):
        yield from data.items()


_OPTIONAL = {"goal", "raw"}
_TYPES: dict[str, tuple[str, tuple[type, ...]]] = {
    "str": ("text", (str,)),
    "int": ("a whole number", (int,)),
    "float": ("a number", (int, float)),
    "float | None": ("a number", (int, float)),
    "Better": ("text", (str,)),
    "Machine": ("an object", (dict,)),
    "dict[str, str]": ("an object", (dict,)),
    "tuple[Row, ...]": ("a list", (list,)),
    "tuple[Raw, ...]": ("a list", (list,)),
    "tuple[float, ...]": ("a list", (list,)),
}


def _object_faults(path: str, data: object, kind: type[Any]) -> Iterator[str]:
    if not isinstance(data, dict):
        yield f"{path}: want an object"
        return
    known = {field.name: str(field.type) for field in fields(kind)}
    yield from (f"{path}.{key}: is not in the format" for key in data if key not in known)
    for key, annotation in known.items():
        wanted, types = _TYPES[annotation]
        if key not in data:
            if key not in _OPTIONAL:
                yield f"{path}.{key}: is missing"
        elif not _has_type(data[key], types):
            yield f"{path}.{key}: want {wanted}"


def _has_type(value: object, types: tuple[type, ...]) -> bool:
    """As isinstance, but a boolean, NaN or infinity is no number."""
    if isinstance(value, bool) or (isinstance(value, float) and not math.isfinite(value)):
        return False
    return isinstance(value, types)


def _row_faults(rows: list[dict[str, Any]]) -> Iterator[str]:
    seen: set[tuple[str, str, str]] = set()
    for index, row in enumerate(rows):
        path = f"rows[{index}]"
        key = (row["work"], row["subject"], row["metric"])
        if key in seen:
            yield f"{path}: the same work, subject and metric stand in an earlier row"
        seen.add(key)
        if row["better"] not in {"lower", "higher"}:
            yield f"{path}.better: want 'lower' or 'higher'"
        if row["rounds"] < 1:
            yield f"{path}.rounds: want 1 or more"
        if not row["min"] <= row["value"] <= row["max"]:
            yield f"{path}.value: is not between min and max"


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
