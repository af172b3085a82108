"""The address that certificates name."""

from __future__ import annotations

from typing import Any

import pytest

from pki.conf import base_url, issuer_url


@pytest.mark.parametrize(
    ("base", "given", "expected"),
    [
        ("https://gatehouse.example", "", "http://gatehouse.example"),
        ("https://gatehouse.example/gh", "", "http://gatehouse.example/gh"),
        ("https://[2001:db8::7]", "", "http://[2001:db8::7]"),
        ("https://gatehouse.example:8443", "", "https://gatehouse.example:8443"),
        ("http://127.0.0.1:8000", "", "http://127.0.0.1:8000"),
        ("https://gatehouse.example", "http://pki.example", "http://pki.example"),
        ("https://gatehouse.example", "https://pki.example", "https://pki.example"),
    ],
)
def test_certificates_name_http_unless_it_is_set_otherwise(settings: Any, base: str, given: str, expected: str) -> None:
    settings.GATEHOUSE_BASE_URL, settings.GATEHOUSE_PKI_URL = base, given
    assert base_url() == expected
    assert issuer_url("north-ca", "crl") == f"{expected}/pki/north-ca/crl"
