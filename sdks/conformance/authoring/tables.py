"""How rows of one condition become cases: one for each operator that the row tells of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sdks.conformance.authoring.suite import Attribute, Suite, condition, context

Values = str | tuple[str, ...]
"""A condition's values; a text is a single one."""

TruthRow = tuple[str, str, Attribute, Values, bool]
"""Id, proposition, attribute, values, whether the positive operator holds."""

OrderRow = tuple[str, str, Attribute, Values, str]
"""Id, proposition, attribute, values, and how the attribute stands to the values.

``<`` below one of them, ``=`` equal to one of them, ``>`` above one of them; several signs
are several values or elements; the empty text is a comparison that cannot be made.
"""


def truths(
    suite: Suite, clause: str, operators: Mapping[str, bool], rows: Iterable[TruthRow]
) -> None:
    """Adds a case for each operator; those that map to False are negations."""
    for row_id, says, attribute, values, holds in rows:
        for operator, positive in operators.items():
            _add(suite, clause, operator, (row_id, says, attribute, values), holds is positive)


def orders(
    suite: Suite, clause: str, operators: Mapping[str, str], rows: Iterable[OrderRow]
) -> None:
    """Adds a case for each operator; it holds if one of its signs is among the row's."""
    for row_id, says, attribute, values, signs in rows:
        for operator, wanted in operators.items():
            holds = not set(wanted).isdisjoint(signs)
            _add(suite, clause, operator, (row_id, says, attribute, values), holds)


def _add(
    suite: Suite,
    clause: str,
    operator: str,
    row: tuple[str, str, Attribute, Values],
    holds: bool,
) -> None:
    row_id, says, attribute, values = row
    listed = (values,) if isinstance(values, str) else values
    suite.holds(
        f"{operator.lower().replace('_', '-')}/{row_id}",
        says,
        clause,
        condition(operator, *listed),
        context(a=attribute),
        holds,
    )
