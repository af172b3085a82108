"""Coming in: the setup link once, the password, the lock-out; and going out."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from console.models import Operator
from console.services.operators import make_setup_link
from kernel.api import failures
from kernel.core.actor import SYSTEM
from kernel.queries import list_entries
from tests.console.views.scene import PASSWORD, Scene

STRONG = "a sentence nobody guesses 7"


@pytest.fixture
def link(north: Scene, ada: Operator) -> str:
    return re.sub(r"^https?://[^/]+", "", make_setup_link(operator=ada, actor=SYSTEM, now=north.now))


def sign_in(client: Client, password: str, **more: str) -> object:
    return client.post("/sign-in/", {"username": "Ada", "password": password, **more})


@pytest.mark.django_db
def test_one_password_can_not_be_tried_with_many_names(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failures, "MAX_FAILURES_OF_ADDRESS", 3)
    answers = [client.post("/sign-in/", {"username": f"name{each}", "password": STRONG}) for each in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    elsewhere = client.post("/sign-in/", {"username": "name9", "password": STRONG}, REMOTE_ADDR="192.0.2.99")
    assert elsewhere.status_code == 200


def test_setup_link_sets_the_password_and_signs_in(link: str, client: Client) -> None:
    assert b"Welcome, ada" in client.get(link).content
    answer = client.post(link, {"password": STRONG, "again": STRONG})
    assert answer["Location"] == "/"
    assert client.get("/").status_code == 200
    assert sign_in(Client(), STRONG).status_code == 302  # type: ignore[attr-defined]


def test_setup_link_works_once(link: str, client: Client) -> None:
    client.post(link, {"password": STRONG, "again": STRONG})
    for answer in (Client().get(link), Client().post(link, {"password": STRONG, "again": STRONG})):
        assert answer.status_code == 404
        assert b"setup_link" in answer.content


@pytest.mark.parametrize(
    ("password", "again", "word"),
    [
        ("short", "short", b"at least 12"),
        ("password1234", "password1234", b"too common"),
        ("0123456789012", "something else 9", b"not the same"),
        ("", "", b"required"),
    ],
)
def test_weak_password_is_refused_and_the_link_stays_open(
    password: str, again: str, word: bytes, link: str, client: Client
) -> None:
    answer = client.post(link, {"password": password, "again": again})
    assert answer.status_code == 200
    assert word in answer.content
    assert client.post(link, {"password": STRONG, "again": STRONG}).status_code == 302


def test_address_of_a_setup_link_never_leaves_as_a_referrer(link: str, client: Client) -> None:
    assert client.get(link)["Referrer-Policy"] == "strict-origin"
    assert "no-store" in client.get(link)["Cache-Control"]


def test_sign_in_leads_where_the_operator_wanted_to_go(ada: Operator, client: Client) -> None:
    answer = client.get("/devices/?state=active")
    answer = client.post(
        answer["Location"], {"username": "ada", "password": PASSWORD, "next": "/devices/?state=active"}
    )
    assert answer["Location"] == "/devices/?state=active"


@pytest.mark.parametrize(
    "wanted", ["https://evil.example/", "//evil.example/", "javascript:alert(1)", "/\\evil.example"]
)
def test_sign_in_leads_nowhere_else(wanted: str, ada: Operator, client: Client) -> None:
    assert sign_in(client, PASSWORD, next=wanted)["Location"] == "/"  # type: ignore[index]


def test_wrong_password_and_unknown_name_get_the_same_words(ada: Operator, client: Client) -> None:
    wrong = client.post("/sign-in/", {"username": "ada", "password": "wrong"})
    unknown = client.post("/sign-in/", {"username": "nobody", "password": "wrong"})
    words = [re.search(r'role="alert">(.*?)</div>', answer.content.decode(), re.DOTALL) for answer in (wrong, unknown)]
    assert all(words)
    assert words[0].group(1) == words[1].group(1)  # type: ignore[union-attr]
    assert b'value="ada"' in wrong.content


def test_ten_failures_lock_out_even_the_right_password(ada: Operator, client: Client) -> None:
    for _ in range(10):
        answer = client.post("/sign-in/", {"username": "ada", "password": "wrong"})
    assert answer.status_code == 429
    assert b"Wait 15 minutes" in answer.content
    assert sign_in(client, PASSWORD).status_code == 429  # type: ignore[attr-defined]


def test_operator_who_was_switched_off_does_not_come_in(ada: Operator, at_ada: Client, client: Client) -> None:
    Operator.objects.update(is_active=False)
    assert at_ada.get("/").status_code == 302
    assert sign_in(client, PASSWORD).status_code == 200  # type: ignore[attr-defined]


def test_sign_out_needs_a_post_and_ends_the_session(at_ada: Client) -> None:
    assert at_ada.get("/sign-out/").status_code == 405
    assert at_ada.post("/sign-out/")["Location"] == "/sign-in/"
    assert at_ada.get("/").status_code == 302


def test_sign_in_and_out_are_in_the_journal(ada: Operator, client: Client) -> None:
    sign_in(client, PASSWORD)
    client.post("/sign-out/")
    newest = [entry.action for entry in list_entries(limit=2)]
    assert newest == ["console.operator.signed_out", "console.operator.signed_in"]


def test_forms_need_the_csrf_token(ada: Operator) -> None:
    strict = Client(enforce_csrf_checks=True)
    assert sign_in(strict, PASSWORD).status_code == 403  # type: ignore[attr-defined]


def test_operator_without_a_domain_is_told_what_to_do(north: Scene, client: Client) -> None:
    from console.services.operators import create_operator

    client.force_login(create_operator(username="new", actor=SYSTEM, now=north.now), backend=BACKEND)
    answer = client.get("/")
    assert answer.status_code == 403
    assert b"ask an owner" in answer.content


BACKEND = "django.contrib.auth.backends.ModelBackend"
