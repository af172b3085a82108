"""What a broker may not be registered with, since whoever connects would stumble over it later."""

from __future__ import annotations

import pytest

from brokers.core.registration import connection_errors, host_errors
from tests.brokers.conftest import OpensslCa

ACCOUNT = {"host": "mq.example", "port": 8883, "username": "u", "password": "pw-not-to-be-seen"}


@pytest.mark.parametrize("host", ["mq.example", "192.0.2.1", "::1", "2001:db8::7", "a", "x" * 63 + ".example", "a_b-c"])
def test_these_are_hosts(host: str) -> None:
    assert host_errors(host, pointer="/host") == []


@pytest.mark.parametrize(
    "host", ["", "a..b", "x" * 64 + ".example", "a.", "-a", "a/b", "a@b", "a b", "a\r\nb", "é", None, 7]
)
def test_these_are_none(host: object) -> None:
    assert host_errors(host, pointer="/host")


def test_ca_that_no_tls_library_takes_is_refused(openssl_ca: OpensslCa) -> None:
    told = {**ACCOUNT, "ca_pem": openssl_ca.certificate}
    assert connection_errors(told, texts=("username", "password")) == []
    for pem in (f"# Zürich\n{openssl_ca.certificate}", "nothing", 7):
        [error] = connection_errors({**told, "ca_pem": pem}, texts=("username", "password"))
        assert (error.pointer, error.code) == ("/connection/ca_pem", "invalid-ca-pem")
        assert "pw-not" not in error.detail
