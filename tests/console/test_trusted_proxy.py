"""Behind a proxy that ends TLS a request counts as secure, and only there."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest
from django.test import Client

FORWARDED = {"X-Forwarded-Proto": "https"}


@pytest.fixture(autouse=True)
def _over_tls(settings: Any) -> None:
    settings.SECURE_SSL_REDIRECT = True
    settings.GATEHOUSE_TRUSTED_PROXIES = [ipaddress.ip_network("10.0.0.0/8")]


def test_request_through_a_trusted_proxy_is_secure(client: Client) -> None:
    answer = client.get("/.well-known/oauth-authorization-server", headers=FORWARDED, REMOTE_ADDR="10.0.0.1")
    assert answer.status_code == 200


def test_claim_of_anybody_else_is_not_believed(client: Client) -> None:
    answer = client.get("/.well-known/oauth-authorization-server", headers=FORWARDED, REMOTE_ADDR="192.0.2.1")
    assert answer.status_code == 301
    assert answer.headers["Location"].startswith("https://")


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_the_platform_asks_without_tls(client: Client, path: str) -> None:
    assert client.get(path).status_code == 200
