"""The lines that make a broker ask: complete, and closed when nobody answers."""

from __future__ import annotations

import re

import pytest

from brokers.core.decide.dialects import CALLS
from brokers.core.decide.snippets import IDENTITIES, NAMES, Dialect, snippet

URL = "https://gatehouse.example/decide/0193-a1"


@pytest.mark.parametrize("dialect", Dialect)
def test_the_lines_name_every_path_of_the_dialect_and_the_secret(dialect: Dialect) -> None:
    text = snippet(dialect, url=URL, secret="s3cret")
    assert "s3cret" in text
    for path in CALLS:
        if path.startswith(dialect):
            assert re.search(f"/{path.removeprefix(dialect).removeprefix('/')}\\b", text), path
    assert "{{" not in text
    assert NAMES[dialect]
    assert IDENTITIES[dialect]


def test_addresses_are_spelled_as_each_broker_reads_them() -> None:
    at = "https://gatehouse.example/decide/0193-a1/s3cret"
    assert f"auth_http.topic_path = {at}/rabbitmq/topic\n" in snippet(Dialect.RABBITMQ, url=URL, secret="s3cret")
    assert f"vmq_webhooks.auth_on_publish_m5.endpoint = {at}/vernemq\n" in snippet(
        Dialect.VERNEMQ, url=URL, secret="s3cret"
    )
    goauth = snippet(Dialect.GOAUTH, url=URL, secret="s3cret")
    assert "auth_opt_http_host gatehouse.example\nauth_opt_http_port 443\nauth_opt_http_with_tls true\n" in goauth
    assert "auth_opt_http_aclcheck_uri /decide/0193-a1/s3cret/goauth/aclcheck\n" in goauth
    plain = snippet(Dialect.GOAUTH, url="http://127.0.0.1:8000/decide/0193-a1", secret="s3cret")
    assert "auth_opt_http_port 8000\nauth_opt_http_with_tls false\n" in plain


def test_nothing_fails_open() -> None:
    texts = {dialect: snippet(dialect, url=URL, secret="s") for dialect in Dialect}
    assert "no_match = deny" in texts[Dialect.EMQX]
    assert "authentication_settings { node_cache.enable = false }" in texts[Dialect.EMQX]  # on as it comes from 6.2 on
    assert "cache.enable = false\n  node_cache.enable = false" in texts[Dialect.EMQX]
    assert "cert_pem" in texts[Dialect.EMQX]
    assert "peerhost" in texts[Dialect.EMQX]
    assert "auth_http.http_method = post" in texts[Dialect.RABBITMQ]
    assert "auth_backends.2" not in texts[Dialect.RABBITMQ]
    assert "# [{rabbitmq_mqtt,[{ignore_colons_in_username,true}]}].\nlisteners.tcp = none\n" in texts[Dialect.RABBITMQ]
    assert "allow_anonymous = off" in texts[Dialect.VERNEMQ]
    assert texts[Dialect.VERNEMQ].count(".hook = auth_on_") == 6
    assert "auth_opt_cache false" in texts[Dialect.GOAUTH]
    assert "auth_opt_http_verify_peer true" in texts[Dialect.GOAUTH]
    assert "allow_anonymous = false\n  no_match = deny\n" in texts[Dialect.NANOMQ]
    assert "cache_ttl = 0" in texts[Dialect.NANOMQ]
    assert texts[Dialect.NANOMQ].count("enable = true\n") == 2  # some releases ask only where that is said
    assert texts[Dialect.NANOMQ].count('headers.content-type = "application/json"\n') == 2
    assert "super_req" not in texts[Dialect.NANOMQ]
    assert "auth_opt_disable_superuser true" in texts[Dialect.GOAUTH]
