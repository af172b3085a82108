"""Where a request comes from: nobody can claim an address but through a trusted proxy."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest
from django.test import RequestFactory

from kernel.api.address import peer_address


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("198.51.100.7", "", "198.51.100.7"),
        ("198.51.100.7", "192.0.2.1", "198.51.100.7"),  # not through a proxy: the claim counts for nothing
        ("10.0.0.1", "192.0.2.1", "192.0.2.1"),
        ("10.0.0.1", "203.0.113.9, 192.0.2.1", "192.0.2.1"),  # what the client wrote itself stands to the left
        ("10.0.0.1", "192.0.2.1, 10.0.0.2", "192.0.2.1"),
        ("10.0.0.1", "nonsense", "10.0.0.1"),
        ("::ffff:198.51.100.7", "", "198.51.100.7"),
        ("2001:db8::1", "", "2001:db8::1"),
        ("", "192.0.2.1", ""),
    ],
)
def test_address_counts_from_the_nearest_hop(settings: Any, peer: str, forwarded: str, expected: str) -> None:
    settings.GATEHOUSE_TRUSTED_PROXIES = [ipaddress.ip_network("10.0.0.0/8")]
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}
    request = RequestFactory().get("/", REMOTE_ADDR=peer, headers=headers)
    assert peer_address(request) == expected
