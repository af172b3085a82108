"""Whatever goes wrong is answered with a problem document (RFC 9457) that says what to do and tells no secret."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client

pytestmark = [pytest.mark.urls("tests.console.api.faulty_urls"), pytest.mark.django_db]


def problem_of(answer: Any) -> dict[str, Any]:
    assert answer.headers["Content-Type"] == "application/problem+json", answer.content
    document: dict[str, Any] = json.loads(answer.content)
    assert document["status"] == answer.status_code
    assert document["request_id"] == answer.headers["X-Request-ID"]
    assert set(document) == {"type", "title", "status", "detail", "code", "instance", "request_id", "errors"}
    assert "secret detail" not in answer.content.decode()
    return document


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("invalid", 400, "weak-key"),
        ("unauthenticated", 401, "unauthenticated"),
        ("denied", 403, "denied"),
        ("not-found", 404, "not-found"),
        ("conflict", 409, "already-decided"),
        ("rate-limited", 429, "rate-limited"),
        ("unavailable", 503, "unavailable"),
        ("http404", 404, "not-found"),
        ("permission", 403, "denied"),
        ("suspicious", 400, "invalid"),
        ("throttled", 429, "rate-limited"),
    ],
)
def test_each_error_has_its_status_and_code(client: Client, kind: str, status: int, code: str) -> None:
    answer = client.get(f"/api/v1/raises/{kind}/")
    document = problem_of(answer)
    assert (answer.status_code, document["code"]) == (status, code)
    assert document["type"] == f"urn:gatehouse:problem:{code}"
    assert document["instance"] == f"/api/v1/raises/{kind}/"


def test_field_errors_of_the_domain_are_listed(client: Client) -> None:
    document = problem_of(client.get("/api/v1/raises/invalid/"))
    assert document["errors"] == [{"pointer": "/csr", "code": "weak-key", "detail": "Make a key of 2048 bits."}]


def test_unexpected_error_is_logged_under_its_request_id_and_tells_nothing(client: Client, caplog: Any) -> None:
    client.raise_request_exception = False
    answer = client.get("/api/v1/raises/bug/", headers={"X-Request-ID": "abcdef-123456"})
    document = problem_of(answer)
    assert (answer.status_code, document["code"], document["request_id"]) == (500, "internal", "abcdef-123456")
    [line] = [record for record in caplog.records if "abcdef-123456" in record.getMessage()]
    assert line.exc_info is not None


@pytest.mark.parametrize(("kind", "wait"), [("rate-limited", "7"), ("throttled", "3")])
def test_rate_limit_says_when_to_come_back(client: Client, kind: str, wait: str) -> None:
    assert client.get(f"/api/v1/raises/{kind}/").headers["Retry-After"] == wait


def test_unauthenticated_has_a_challenge(client: Client) -> None:
    assert client.get("/api/v1/raises/unauthenticated/").headers["WWW-Authenticate"].startswith("Bearer")


def test_wrong_members_are_pointed_at(client: Client) -> None:
    body = {"name": "pumps", "rules": [{"topic": "a", "qos": [0]}, {"topic": "b", "qos": [0, "x"]}]}
    answer = client.post("/api/v1/takes/", body, content_type="application/json")
    document = problem_of(answer)
    assert answer.status_code == 400
    assert {(fault["pointer"], fault["code"]) for fault in document["errors"]} == {
        ("/name", "max-length"),
        ("/rules/1/qos/1", "invalid"),
    }


def test_missing_members_are_pointed_at(client: Client) -> None:
    document = problem_of(client.post("/api/v1/takes/", {}, content_type="application/json"))
    assert {fault["pointer"] for fault in document["errors"]} == {"/name", "/rules"}


def test_body_of_another_shape_points_at_the_whole(client: Client) -> None:
    document = problem_of(client.post("/api/v1/takes/", [1], content_type="application/json"))
    assert [fault["pointer"] for fault in document["errors"]] == [""]


@pytest.mark.parametrize("body", ["{", "\xff\xfe", '{"a": NaN}', "[" * 100_000])
def test_broken_json_is_a_problem(client: Client, body: str) -> None:
    answer = client.post("/api/v1/takes/", body.encode("latin-1"), content_type="application/json")
    assert answer.status_code == 400
    problem_of(answer)


def test_other_media_types_are_refused(client: Client) -> None:
    answer = client.post("/api/v1/takes/", "<a/>", content_type="application/xml")
    assert (answer.status_code, problem_of(answer)["code"]) == (415, "unsupported-media-type")


def test_other_methods_are_refused(client: Client) -> None:
    answer = client.delete("/api/v1/takes/")
    assert (answer.status_code, problem_of(answer)["code"]) == (405, "method-not-allowed")
    assert "POST" in answer.headers["Allow"]


def test_large_body_is_refused_before_it_is_read(client: Client, settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    answer = client.post("/api/v1/takes/", {"name": "x" * 1000}, content_type="application/json")
    assert (answer.status_code, problem_of(answer)["code"]) == (413, "too-large")


@pytest.mark.parametrize("path", ["/api/v1/raises/a%00b/", "/api/v1/takes/?name=%00"])
def test_nul_in_the_address_is_a_problem(client: Client, path: str) -> None:
    assert problem_of(client.get(path))["status"] == 400


def test_unknown_address_is_a_problem(client: Client) -> None:
    assert problem_of(client.get("/api/v1/no-such-thing/"))["code"] == "not-found"


def test_unacceptable_representation_is_a_problem(client: Client) -> None:
    answer = client.get("/api/v1/takes/", headers={"Accept": "text/csv"})
    assert answer.status_code in {405, 406}
    problem_of(answer)


def test_request_id_that_could_do_harm_is_replaced(client: Client) -> None:
    answer = client.get("/api/v1/raises/denied/", headers={"X-Request-ID": "a b\tc<script>"})
    assert "script" not in answer.headers["X-Request-ID"]
    problem_of(answer)
