"""Refuses changes after which items would name what is not there, or one another in a circle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from featmesh.engine import find_prerequisite_cycle, find_segment_cycle
from featmesh.engine.model import Flag, Segment
from services.api.changes.edits import named
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
from services.api.rpc.validation.faults import Faults, quoted
from services.runtime.errors import FailedPrecondition
from services.storage.model.changes import AnyItemChange

_LISTED: Final = 10
"""Dependents that a message names; of more only the number is said."""


def check_integrity(edits: Sequence[AnyItemChange], graph: ReferenceGraph) -> None:
    """Raises `InvalidArgument` for what the request's items name, else `FailedPrecondition`.

    The latter for items that others need, and for those that the request only names.
    """
    faults = Faults()
    for edit in edits:
        new = after(edit)
        if new is not None and live(new):
            _check_references(faults, edit, new, graph)
    if not faults:
        _check_cycles(faults, edits, graph)
    faults.finish()
    _check_dependents(edits, graph)


def _check_references(
    faults: Faults, edit: AnyItemChange, item: Item, graph: ReferenceGraph
) -> None:
    for reference in references(item):
        complaint = _complaint(reference, graph)
        if complaint is not None:
            _refuse(faults, edit, reference.path + complaint[0], complaint[1])


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


def _refuse(faults: Faults, edit: AnyItemChange, field: str, description: str) -> None:
    if edit.path:
        faults.add(f"{edit.path}.{field}", description)
    elif edit.after is not None:
        name = f"{edit.kind.label} '{edit.after.key}'"
        raise FailedPrecondition(f"{name} {field} {description}")


def _check_cycles(faults: Faults, edits: Sequence[AnyItemChange], graph: ReferenceGraph) -> None:
    flags = [flag for flag in graph.flags.values() if live(flag)]
    segments = [segment for segment in graph.segments.values() if live(segment)]
    by_kind = {Flag: find_prerequisite_cycle(flags), Segment: find_segment_cycle(segments)}
    for edit in edits:
        new = after(edit)
        if new is None or not live(new):
            continue
        circle = by_kind[type(new)]
        name = new.key if isinstance(new, Flag) else new.id
        if circle and name in circle:
            field = "prerequisites" if isinstance(new, Flag) else "rules"
            _refuse(faults, edit, field, f"make a cycle: {_chain(circle)}")


def _chain(circle: Sequence[str]) -> str:
    shown = [quoted(name) for name in circle[:_LISTED]]
    return " → ".join(shown if len(circle) <= _LISTED else [*shown, "…"])


def _check_dependents(edits: Sequence[AnyItemChange], graph: ReferenceGraph) -> None:
    for edit in edits:
        dependents = _dependents(edit, graph)
        if dependents and edit.before is not None:
            shown = ", ".join(dependents[:_LISTED])
            more = f" and {len(dependents) - _LISTED} more" if len(dependents) > _LISTED else ""
            raise FailedPrecondition(
                f"{named(edit.before)} is needed by {shown}{more}",
                dependents=str(len(dependents)),
            )


def _dependents(edit: AnyItemChange, graph: ReferenceGraph) -> list[str]:
    old = before(edit)
    if isinstance(old, Flag):
        lost = removed_variations(edit)
        referrers = graph.referrers(Flag, old.key) if lost else ()
        return sorted({_named(item) for item, variation_id in referrers if variation_id in lost})
    if old is None or not live(old) or live(after(edit)):
        return []
    return sorted({_named(item) for item, _ in graph.referrers(Segment, old.id)})


def _named(item: Item) -> str:
    return f"{'flag' if isinstance(item, Flag) else 'segment'} '{item.key}'"
