"""Networks of a token, and how a token is taken apart."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.core.tokens import TokenRefused, WrongNetwork, check_address, check_networks, split_token
from kernel.core.errors import Invalid


def test_networks_are_written_one_way() -> None:
    assert check_networks(["10.0.0.0/255.0.0.0", "192.0.2.7", "2001:DB8::/32"]) == (
        "10.0.0.0/8",
        "192.0.2.7/32",
        "2001:db8::/32",
    )


def test_every_bad_network_is_named() -> None:
    with pytest.raises(Invalid) as caught:
        check_networks(["x", "10.0.0.0/8", "10.0.0.1/8"])
    assert [error.pointer for error in caught.value.errors] == ["/allowed_networks/0", "/allowed_networks/2"]


@pytest.mark.parametrize("address", ["10.255.255.255", "::ffff:10.0.0.1", "192.0.2.7"])
def test_address_in_a_network_passes(address: str) -> None:
    check_address(address, ["10.0.0.0/8", "192.0.2.7/32"])


@pytest.mark.parametrize("address", ["11.0.0.0", "192.0.2.8", "", "x", "::1", "10.0.0.1%eth0", "10.0.0.1:80"])
def test_other_addresses_do_not(address: str) -> None:
    with pytest.raises(WrongNetwork):
        check_address(address, ["10.0.0.0/8", "192.0.2.7/32"])


def test_without_networks_every_address_passes() -> None:
    check_address("", [])


def test_token_is_id_and_secret() -> None:
    assert split_token("01930000000070008000000000000001.a.b") == (UUID("01930000-0000-7000-8000-000000000001"), "a.b")


@given(st.text())
def test_any_other_text_is_refused(text: str) -> None:
    try:
        id, _ = split_token(text)
    except TokenRefused:
        return
    assert UUID(hex=text.partition(".")[0]) == id
