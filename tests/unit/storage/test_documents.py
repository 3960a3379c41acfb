from __future__ import annotations

from datetime import timedelta, timezone

from featmesh.engine.model import Flag, Rollout, Segment, ValueType, Variation
from services.storage.model.credentials import SdkKey, SdkKeyKind
from services.storage.model.kinds import SDK_KEY
from services.storage.mongodb.resources.codecs import codec_of
from services.storage.mongodb.resources.documents import (
    flag_document,
    flag_of,
    flag_record,
    segment_document,
    segment_of,
    segment_record,
)
from tests.integration.storage.records import NOON, flag, full_flag, full_segment


def test_every_field_of_a_flag_and_a_segment_goes_there_and_back() -> None:
    versions = {"version": 0, "revision": 0}
    assert flag_record(flag_document(full_flag()) | versions) == full_flag()
    assert segment_record(segment_document(full_segment()) | versions) == full_segment()


def test_a_field_that_an_older_version_did_not_write_has_its_default() -> None:
    identity = {"key": "a", "version": 1, "revision": 2}
    assert flag_of({**identity, "value_type": "string"}) == Flag(
        "a", ValueType.STRING, (), "", Rollout(()), version=1, revision=2
    )
    assert segment_of({**identity, "id": "s-1"}) == Segment("s-1", "a", version=1, revision=2)


def test_a_number_that_was_given_as_an_int_is_stored_as_a_double() -> None:
    record = flag("a", value_type=ValueType.NUMBER, variations=(Variation("v", "V", 3),))
    document = flag_document(record) | {"version": 1, "revision": 1}
    value = flag_of(document).variations[0].value
    assert (type(value), value) == (float, 3.0)


def test_times_are_kept_in_utc_and_whole_milliseconds() -> None:
    local = NOON.replace(microsecond=123_456).astimezone(timezone(timedelta(hours=2)))
    codec = codec_of(SDK_KEY)
    key = SdkKey("k", SdkKeyKind.SERVER, "hash", "wxyz", revoked_at=local)
    read = codec.content(codec.fields(key)).revoked_at
    assert read is not None
    assert (read, read.utcoffset()) == (NOON, timedelta(0))
