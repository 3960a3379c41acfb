"""Refuses changes after which items would name what is not there, or one another in a cycle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from featmesh.engine import find_prerequisite_cycle, find_segment_cycle
from featmesh.engine.model import Flag, Segment
from services.api.changes.references import (
    Item,
    Reference,
    ReferenceGraph,
    after,
    before,
    live,
    references,
    removed_variations,
)
from services.runtime.errors import FailedPrecondition
from services.runtime.violations import Violations, quoted
from services.storage.model.changes import AnyItemChange

_LISTED: Final = 10
"""Dependents that a message names; of more only the number is said."""


def check_integrity(changes: Sequence[AnyItemChange], graph: ReferenceGraph) -> None:
    """Raises `InvalidArgument` for what the request's items name, else `FailedPrecondition`.

    The latter for items that others need, and for those that the request only names.
    """
    violations = Violations()
    for change in changes:
        new = after(change)
        if new is not None and live(new):
            _check_references(violations, change, new, graph)
    if not violations:
        _check_cycles(violations, changes, graph)
    violations.finish()
    _check_dependents(changes, graph)


def _check_references(
    violations: Violations, change: AnyItemChange, item: Item, graph: ReferenceGraph
) -> None:
    for reference in references(item):
        complaint = _complaint(reference, graph)
        if complaint is not None:
            _refuse(violations, change, reference.path + complaint[0], complaint[1])


def _complaint(reference: Reference, graph: ReferenceGraph) -> tuple[str, str] | None:
    """Field within the reference, and what is wrong with it."""
    if reference.kind is Segment:
        segment = graph.segments.get(reference.target)
        return _absent("", "segment id", reference.target, segment)
    flag = graph.flags.get(reference.target)
    absent = _absent(".flag_key", "flag", reference.target, flag)
    if absent is not None or flag is None:
        return absent
    if all(each.id != reference.variation_id for each in flag.variations):
        text = f"names {quoted(reference.variation_id)}, no variation of flag '{flag.key}'"
        return ".variation_id", text
    return None


def _absent(field: str, kind: str, target: str, item: Item | None) -> tuple[str, str] | None:
    if live(item):
        return None
    state = "does not exist" if item is None else "is archived"
    return field, f"names {kind} {quoted(target)}, which {state}"


def _refuse(violations: Violations, change: AnyItemChange, field: str, description: str) -> None:
    if change.path:
        violations.add(f"{change.path}.{change.kind.name}.{field}", description)
    elif (item := after(change)) is not None:
        raise FailedPrecondition(f"{_named(item)} {field} {description}")


def _check_cycles(
    violations: Violations, changes: Sequence[AnyItemChange], graph: ReferenceGraph
) -> None:
    flags = [flag for flag in graph.flags.values() if live(flag)]
    segments = [segment for segment in graph.segments.values() if live(segment)]
    by_kind = {Flag: find_prerequisite_cycle(flags), Segment: find_segment_cycle(segments)}
    for change in changes:
        new = after(change)
        if new is None or not live(new):
            continue
        cycle = by_kind[type(new)]
        name = new.key if isinstance(new, Flag) else new.id
        if cycle and name in cycle:
            field = "prerequisites" if isinstance(new, Flag) else "rules"
            _refuse(violations, change, field, f"make a cycle: {_chain(cycle)}")


def _chain(cycle: Sequence[str]) -> str:
    shown = [quoted(name) for name in cycle[:_LISTED]]
    return " → ".join(shown if len(cycle) <= _LISTED else [*shown, "…"])


def _check_dependents(changes: Sequence[AnyItemChange], graph: ReferenceGraph) -> None:
    for change in changes:
        dependents = _dependents(change, graph)
        if dependents and (old := before(change)) is not None:
            shown = ", ".join(dependents[:_LISTED])
            more = f" and {len(dependents) - _LISTED} more" if len(dependents) > _LISTED else ""
            raise FailedPrecondition(
                f"{_named(old)} is needed by {shown}{more}",
                dependents=str(len(dependents)),
            )


def _dependents(change: AnyItemChange, graph: ReferenceGraph) -> list[str]:
    old = before(change)
    if isinstance(old, Flag):
        lost = removed_variations(change)
        referrers = graph.referrers(Flag, old.key) if lost else ()
        return sorted({_named(item) for item, variation_id in referrers if variation_id in lost})
    if old is None or not live(old) or live(after(change)):
        return []
    return sorted({_named(item) for item, _ in graph.referrers(Segment, old.id)})


def _named(item: Item) -> str:
    return f"{'flag' if isinstance(item, Flag) else 'segment'} '{item.key}'"
