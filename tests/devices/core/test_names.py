"""What may be a name: bounds worked out from RFC 5280 A.1 (64 characters) and MQTT 5 4.7."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.core.names import BadName, check_name, name_fault


@pytest.mark.parametrize("name", ["a", "x" * 64, "pump-17", "pump 17", "a.b_c:d", "ä", "泵", "a$b", "-", "...", "😀"])
def test_these_are_names(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name", ["", "x" * 65, "ä" * 65, "+", "a#", "/", "a/b", "$a", " a", "a ", "\u00a0a", "\t", ".", ".."]
)
def test_these_are_none(name: str) -> None:
    with pytest.raises(BadName) as caught:
        check_name(name)
    assert caught.value.errors[0].pointer == "/name"


@pytest.mark.parametrize("code", [*range(0x20), 0x7F, 0x80, 0x9F, 0xAD, 0x200B, 0x202E, 0x2028, 0xFEFF, 0xD800, 0xFFFE])
def test_what_can_not_be_seen_is_in_no_name(code: int) -> None:
    assert name_fault(f"a{chr(code)}b")


@given(st.text(max_size=80))
def test_name_is_a_level_of_a_topic_as_it_stands(name: str) -> None:
    if name_fault(name) is None:
        assert name.encode()
        assert 1 <= len(name) <= 64
        assert not set(name) & set("+#/\0")
        assert not name.startswith("$")
