"""What items say of one another: prerequisites of flags, segments in conditions.

After any change every live item (neither deleted nor archived) names only live ones, and
no names go around in a circle. Archived items may name anything: they are checked when
they come back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from featmesh.engine.model import Flag, Rule, Segment, SegmentRule
from services.api.rpc.validation.conditions import SEGMENT_OPERATORS
from services.storage.model.changes import AnyItemChange

Item = Flag | Segment


@dataclass(frozen=True, slots=True)
class Reference:
    """``path`` is relative to the item that holds it. A segment has no variation."""

    path: str
    kind: type[Item]
    target: str
    variation_id: str = ""


def references(item: Item) -> tuple[Reference, ...]:
    """All that an item names, in the order in which it does."""
    found: list[Reference] = []
    if isinstance(item, Flag):
        for index, each in enumerate(item.prerequisites):
            path = f"prerequisites[{index}]"
            found.append(Reference(path, Flag, each.flag_key, each.variation_id))
    found.extend(_segments(item.rules))
    return tuple(found)


def _segments(rules: Sequence[Rule | SegmentRule]) -> Iterator[Reference]:
    for r, rule in enumerate(rules):
        for c, condition in enumerate(rule.conditions):
            if condition.operator in SEGMENT_OPERATORS:
                for v, segment_id in enumerate(condition.values):
                    path = f"rules[{r}].conditions[{c}].values[{v}]"
                    yield Reference(path, Segment, segment_id)


def live(item: Item | None) -> bool:
    """Whether SDKs see it."""
    return item is not None and not item.archived


def before(edit: AnyItemChange) -> Item | None:
    """The item that was."""
    return edit.before.content.definition if edit.before else None


def after(edit: AnyItemChange) -> Item | None:
    """The item that shall be."""
    return edit.after.definition if edit.after else None


def removed_variations(edit: AnyItemChange) -> frozenset[str]:
    """Variations that a live flag served and will not serve any more."""
    old, new = before(edit), after(edit)
    if not isinstance(old, Flag) or not live(old):
        return frozenset()
    kept = new.variations if isinstance(new, Flag) and live(new) else ()
    return frozenset(each.id for each in old.variations) - {each.id for each in kept}


def needs_graph(edits: Iterable[AnyItemChange]) -> bool:
    """Whether the edits can only be checked against the rest of the environment."""
    return any(_reaches_out(edit) for edit in edits)


def _reaches_out(edit: AnyItemChange) -> bool:
    old, new = before(edit), after(edit)
    if (live(old) and not live(new)) or removed_variations(edit):
        return True  # somebody may name it
    if new is None or not live(new):
        return False
    named = references(new)
    return bool(named) and (old is None or not live(old) or references(old) != named)


class ReferenceGraph:
    """An environment's flags and segments as they would be after some edits."""

    def __init__(
        self,
        flags: Iterable[Flag],
        segments: Iterable[Segment],
        edits: Sequence[AnyItemChange],
    ) -> None:
        self.flags = {flag.key: flag for flag in flags}
        self.segments = {segment.id: segment for segment in segments}
        self._referrers: dict[tuple[type[Item], str], list[tuple[Item, str]]] | None = None
        for edit in edits:
            if (old := before(edit)) is not None:
                self._remove(old)
        for edit in edits:
            if (new := after(edit)) is not None:
                self._add(new)

    def _remove(self, item: Item) -> None:
        if isinstance(item, Flag):
            self.flags.pop(item.key, None)
        else:
            self.segments.pop(item.id, None)

    def _add(self, item: Item) -> None:
        if isinstance(item, Flag):
            self.flags[item.key] = item
        else:
            self.segments[item.id] = item

    def referrers(self, kind: type[Item], target: str) -> Sequence[tuple[Item, str]]:
        """Live items that name this one, each with the variation that it needs."""
        if self._referrers is None:
            self._referrers = {}
            items: list[Item] = [*self.flags.values(), *self.segments.values()]
            for item in items:
                for each in references(item) if live(item) else ():
                    named = self._referrers.setdefault((each.kind, each.target), [])
                    named.append((item, each.variation_id))
        return self._referrers.get((kind, target), ())
