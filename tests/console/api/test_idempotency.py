"""A POST with an Idempotency-Key acts once, however often it is sent."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from oauth2_provider.models import AccessToken

from console.models import Application, IdempotentCall
from console.services.idempotent_calls import GIVEN_UP_AFTER, CallInProgress, begin_call
from tests.cast import NOW
from tests.console.conftest import token_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("domains")]
PATH = "/api/v1/applications/"
BODY = {"name": "line", "scopes": ["devices:read"]}


def post(client: Client, headers: dict[str, str], key: str = "k-1", body: Any = None) -> Any:
    return client.post(PATH, body or BODY, content_type="application/json", headers={**headers, "Idempotency-Key": key})


def test_repeated_call_gets_the_first_answer_and_does_nothing(client: Client) -> None:
    headers = token_of()
    first, second = post(client, headers), post(client, headers)
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert second.headers["Idempotency-Replayed"] == "true"
    assert second.headers["Content-Type"] == first.headers["Content-Type"]
    assert Application.objects.filter(name="line").count() == 1


def test_another_key_or_another_caller_is_another_call(client: Client) -> None:
    headers = token_of()
    answers = [post(client, headers), post(client, headers, "k-2"), post(client, token_of())]
    assert len({answer.json()["client_id"] for answer in answers}) == 3


def test_ended_token_gets_no_answer_again(client: Client) -> None:
    headers = token_of()
    post(client, headers)
    AccessToken.objects.all().delete()
    assert post(client, headers).status_code == 401


def test_same_key_over_another_body_is_refused(client: Client) -> None:
    headers = token_of()
    post(client, headers)
    answer = post(client, headers, body={"name": "other", "scopes": ["devices:read"]})
    assert (answer.status_code, answer.json()["code"]) == (400, "idempotency-key-reused")


def test_refused_call_may_be_tried_again(client: Client) -> None:
    headers = token_of()
    assert post(client, headers, body={"name": "line"}).status_code == 400
    assert post(client, headers).status_code == 201


def test_call_under_way_is_a_conflict_until_it_is_given_up() -> None:
    assert begin_call(key="k", body=b"{}", now=NOW) is None
    with pytest.raises(CallInProgress):
        begin_call(key="k", body=b"{}", now=NOW + timedelta(seconds=1))
    assert begin_call(key="k", body=b"{}", now=NOW + GIVEN_UP_AFTER) is None


def test_kept_answer_is_not_readable_in_the_database(client: Client) -> None:
    secret = post(client, token_of()).json()["client_secret"]
    with connection.cursor() as cursor:
        cursor.execute("SELECT answer FROM console_idempotentcall")
        [(envelope,)] = cursor.fetchall()
    assert secret.encode() not in bytes(envelope)


@pytest.mark.parametrize("key", ["", "a b", "ü", "x" * 256])
def test_key_of_another_shape_is_refused(client: Client, key: str) -> None:
    answer = post(client, token_of(), key)
    assert (answer.status_code, answer.json()["code"]) == (400, "idempotency-key-invalid")
    assert not IdempotentCall.objects.exists()
