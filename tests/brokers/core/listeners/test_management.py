"""What is asked of a port by which a broker is managed, octet by octet, and what is made of the answers."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from brokers.core.listeners.management import judge_answer, place_of, questions, refused_logins
from brokers.core.listeners.probe import Aspect, ListenerReport, ProbeLine, Verdict, read_report, report_document
from brokers.core.values import AdapterKind

API = {"host": "::1", "port": 18083, "api_key": "key", "api_secret": "secret"}
REST = {"host": "mq.example", "port": 8888, "ca_pem": "PEM"}
CONNECTIONS: Mapping[AdapterKind, Mapping[str, object]] = {
    AdapterKind.EMQX: API,
    AdapterKind.NANOMQ: {"host": "127.0.0.1", "port": 8081, "username": "gh", "password": "pw"},
    AdapterKind.HIVEMQ_ESE_SQL: {"host": "db", "port": 5432, "rest": REST},
    AdapterKind.HIVEMQ_ESE_FILE: {"files": {"directory": "hall"}, "rest": REST},
    AdapterKind.VERNEMQ_POSTGRESQL: {"host": "db", "port": 5432, "api": {**REST, "api_key": "k"}},
}


def asked(kind: AdapterKind, version: str = "") -> dict[Aspect, bytes]:
    place = place_of(kind, CONNECTIONS[kind])
    assert place is not None
    return {each.aspect: each.request for each in questions(kind, place, CONNECTIONS[kind], version=version)}


def test_emqx_is_asked_for_a_login_with_what_it_comes_with() -> None:
    """`printf '{"username": "admin", "password": "public"}' | wc -c` says 43."""
    lines = asked(AdapterKind.EMQX, "6.2.0")[Aspect.DEFAULT_LOGIN].split(b"\r\n")
    assert lines[:2] == [b"POST /api/v5/login HTTP/1.1", b"Host: [::1]:18083"]
    assert b"Content-Length: 43" in lines
    assert lines[-2:] == [b"", b'{"username": "admin", "password": "public"}']
    assert not any(line.startswith(b"Authorization") for line in lines)


def test_key_is_tried_only_where_keys_have_scopes() -> None:
    assert Aspect.KEY_RIGHTS not in asked(AdapterKind.EMQX, "6.2.0") | asked(AdapterKind.EMQX)
    request = asked(AdapterKind.EMQX, "6.2.1")[Aspect.KEY_RIGHTS]
    assert b"\r\nAuthorization: Basic a2V5OnNlY3JldA==\r\n" in request  # printf key:secret | base64


@pytest.mark.parametrize(
    ("kind", "aspect", "line", "account"),
    [
        (AdapterKind.NANOMQ, Aspect.DEFAULT_LOGIN, b"GET /api/v4/brokers HTTP/1.1", b"Basic YWRtaW46cHVibGlj"),
        (AdapterKind.HIVEMQ_ESE_SQL, Aspect.MANAGEMENT, b"GET /api/v1/mqtt/clients?limit=50 HTTP/1.1", b""),
        (AdapterKind.HIVEMQ_ESE_FILE, Aspect.MANAGEMENT, b"GET /api/v1/mqtt/clients?limit=50 HTTP/1.1", b""),
        (AdapterKind.VERNEMQ_POSTGRESQL, Aspect.MANAGEMENT, b"GET /api/v1/cluster/show HTTP/1.1", b""),
    ],
)
def test_each_make_is_asked_once_and_never_with_our_own_account(
    kind: AdapterKind, aspect: Aspect, line: bytes, account: bytes
) -> None:
    [(about, request)] = asked(kind).items()
    assert (about, request.split(b"\r\n")[0]) == (aspect, line)
    told = [each for each in request.split(b"\r\n") if each.startswith(b"Authorization")]
    assert told == ([b"Authorization: " + account] if account else [])


def test_nobody_is_asked_where_no_port_is_registered_nor_of_other_kinds() -> None:
    database = {"host": "db", "port": 5432}
    assert place_of(AdapterKind.VERNEMQ_POSTGRESQL, database) is None
    assert place_of(AdapterKind.HIVEMQ_ESE_SQL, {**database, "rest": None}) is None
    assert place_of(AdapterKind.RABBITMQ, database) is None
    assert place_of(AdapterKind.GOAUTH_POSTGRESQL, database) is None


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (200, Verdict.BAD),
        (204, Verdict.BAD),
        (401, Verdict.GOOD),
        (403, Verdict.GOOD),
        (302, Verdict.UNKNOWN),
        (404, Verdict.UNKNOWN),
        (500, Verdict.UNKNOWN),
        (None, Verdict.UNKNOWN),
    ],
)
def test_only_a_refusal_is_good(status: int | None, verdict: Verdict) -> None:
    kind = AdapterKind.NANOMQ
    place = place_of(kind, CONNECTIONS[kind])
    assert place is not None
    [question] = questions(kind, place, CONNECTIONS[kind], version="")
    line = judge_answer(question, status)
    assert (line.verdict, bool(line.remedy)) == (verdict, verdict is Verdict.BAD)
    assert bool(refused_logins([line])) is (verdict is Verdict.GOOD)
    report = ListenerReport(host=place.host, port=place.port, transport=place.scheme, lines=(line,))
    assert read_report(report_document(report)) == report


def test_only_passwords_are_not_tried_again() -> None:
    line = ProbeLine(aspect=Aspect.MANAGEMENT, verdict=Verdict.GOOD, seen="")
    assert refused_logins([line]) == {}


def test_no_question_shows_the_account_that_it_is_asked_with() -> None:
    place = place_of(AdapterKind.EMQX, API)
    assert place is not None
    told = repr(list(questions(AdapterKind.EMQX, place, API, version="6.2.1")))
    assert "a2V5" not in told
    assert "public" not in told
