"""Evaluation: a pure function of a snapshot, a context and a clock value.

Nothing here raises: whatever goes wrong becomes a result with an error kind. Chains of
prerequisites are followed in a loop and chains of segments too, so their length is
bounded by memory and not by the interpreter's recursion limit.
"""

from __future__ import annotations

from featmesh.engine.attributes import MAX_KEY_BYTES, valid_context
from featmesh.engine.compile import CompiledFlag, error_result
from featmesh.engine.membership import Segments
from featmesh.engine.model import Context, ErrorKind, Result
from featmesh.engine.snapshot import Snapshot

READS_CLOCK = False
"""Whether any operator reads the clock. While none does, a caller may hand in 0 instead."""


def evaluate(  # noqa: PLR0911  # a return for each step of the specification
    snapshot: Snapshot, flag_key: str, context: Context, now_ms: int
) -> Result:
    """Answers one flag for one context. Never raises.

    Args:
        snapshot: The flags and segments to read.
        flag_key: Which flag. An unknown, deleted or archived one is FLAG_NOT_FOUND.
        context: Whom for. A key that is not 1 to 512 bytes of UTF-8 is INVALID_CONTEXT.
        now_ms: The clock, in milliseconds since the epoch. It is part of the contract, so
            that an operator which needs it can come; see `READS_CLOCK`.
    """
    try:
        flag = snapshot.live_flags.get(flag_key)
        if flag is None:
            return error_result(flag_key, ErrorKind.FLAG_NOT_FOUND)
        key = context.key
        plain = key.__class__ is str and key.isascii() and 0 < len(key) <= MAX_KEY_BYTES
        if not plain and not valid_context(context):
            return _invalid_context(flag_key)
        if flag.constant is not None:
            return flag.constant
        if flag.prerequisites:
            return _with_prerequisites(flag, context, snapshot, {})
        # `_decide`, written out: a call costs as much as a condition.
        if flag.targets and key in flag.targets:
            return flag.targets[key]
        serving = flag.fallthrough
        for tests, outcome in flag.rules:
            for test in tests:
                if not test(context, snapshot.live_segments):
                    break
            else:
                serving = outcome
                break
        return serving if type(serving) is Result else serving.serve(context)
    except Exception:  # noqa: BLE001  # the contract: an error kind, never an exception
        return _fault(snapshot, flag_key, context)


def evaluate_all(snapshot: Snapshot, context: Context, now_ms: int) -> dict[str, Result]:
    """Answers every flag that is not archived, by key in order. Never raises.

    Each flag is evaluated once, however many others have it as a prerequisite.
    """
    keys = snapshot.live_flag_keys()
    if not valid_context(context):
        return {key: _invalid_context(key) for key in keys}
    known: dict[str, Result] = {}
    for key in keys:
        if key not in known:
            known[key] = _with_prerequisites(snapshot.live_flags[key], context, snapshot, known)
    return {key: known[key] for key in keys}


def _with_prerequisites(
    flag: CompiledFlag, context: Context, snapshot: Snapshot, known: dict[str, Result]
) -> Result:
    """The flag's result; it and those of prerequisites on the way are added to `known`."""
    waiting = [flag]
    while waiting:
        current = waiting[-1]
        answer = _answer_or_prerequisite(current, context, snapshot, known)
        if isinstance(answer, CompiledFlag):
            waiting.append(answer)
        else:
            known[current.key] = answer
            waiting.pop()
    return known[flag.key]


def _answer_or_prerequisite(
    flag: CompiledFlag, context: Context, snapshot: Snapshot, known: dict[str, Result]
) -> Result | CompiledFlag:
    """The flag's result, or the prerequisite that has to be answered before.

    A flag on a cycle is malformed whoever asks; one that merely depends on such a flag
    has a prerequisite that failed.
    """
    if not flag.enabled:
        return _decide_guarded(flag, context, snapshot.live_segments)
    if flag.key in snapshot.cyclic_flag_keys:
        return flag.malformed
    for prerequisite in flag.prerequisites:
        required = snapshot.live_flags.get(prerequisite.flag_key)
        if required is None or not required.enabled:
            return prerequisite.failed
        result = known.get(prerequisite.flag_key)
        if result is None:
            return required
        if result.error_kind is not None or result.variation_id != prerequisite.variation_id:
            return prerequisite.failed
    return _decide_guarded(flag, context, snapshot.live_segments)


def _decide(flag: CompiledFlag, context: Context, segments: Segments) -> Result:
    """Targets, rules and fallthrough, or what is the same for everybody."""
    if flag.constant is not None:
        return flag.constant
    targeted = flag.targets.get(context.key)
    if targeted is not None:
        return targeted
    serving = flag.fallthrough
    for tests, outcome in flag.rules:
        for test in tests:
            if not test(context, segments):
                break
        else:
            serving = outcome
            break
    return serving if type(serving) is Result else serving.serve(context)


def _decide_guarded(flag: CompiledFlag, context: Context, segments: Segments) -> Result:
    try:
        return _decide(flag, context, segments)
    except Exception:  # noqa: BLE001  # a fault of one flag is that flag's error alone
        return error_result(flag.key, ErrorKind.GENERAL, revision=flag.malformed.flag_revision)


def _fault(snapshot: Snapshot, flag_key: object, context: object) -> Result:
    shown_key = flag_key if isinstance(flag_key, str) else ""
    flag = snapshot.live_flags.get(shown_key)
    if flag is None:
        return error_result(shown_key, ErrorKind.FLAG_NOT_FOUND)
    if not valid_context(context):
        return _invalid_context(shown_key)
    return error_result(shown_key, ErrorKind.GENERAL, revision=flag.malformed.flag_revision)


def _invalid_context(flag_key: str) -> Result:
    return error_result(flag_key, ErrorKind.INVALID_CONTEXT)
