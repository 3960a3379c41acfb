from __future__ import annotations

import pytest

from services.runtime.config import Address, ConfigError, EnvironmentReader


def test_all_faults_are_reported_together_by_the_names_of_their_variables() -> None:
    reader = EnvironmentReader({"PORT": "many", "LISTEN": "nowhere", "FORMAT": "xml"})
    reader.text("URI", None)
    reader.integer("PORT", 1, low=1, high=9)
    reader.address("LISTEN", Address("127.0.0.1", 1))
    reader.choice("FORMAT", "text", ("text", "json"))
    with pytest.raises(ConfigError) as caught:
        reader.finish()
    assert [fault.split()[0] for fault in caught.value.faults] == [
        "URI",
        "PORT",
        "LISTEN",
        "FORMAT",
    ]


@pytest.mark.parametrize("text", ["nan", "inf", "-1", "1e9", "1.5"])
def test_a_whole_number_beyond_its_limits_is_refused(text: str) -> None:
    reader = EnvironmentReader({"COUNT": text})
    assert reader.integer("COUNT", 4, low=0, high=100) == 4
    with pytest.raises(ConfigError, match="COUNT"):
        reader.finish()


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0.0.0.0:7400", Address("0.0.0.0", 7400)), ("[::1]:1", Address("::1", 1))],
)
def test_an_address_is_read_and_written_alike(text: str, expected: Address) -> None:
    reader = EnvironmentReader({"LISTEN": text})
    address = reader.address("LISTEN", Address("127.0.0.1", 0))
    reader.finish()
    assert (address, str(address)) == (expected, text)
