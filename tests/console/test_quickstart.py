"""`manage.py quickstart`: once it tells the secrets, and ever after it does no harm."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client

from acl.queries import find_role
from console.models import Application, Membership, Operator
from console.services.applications import NewApplication
from devices import queries as fleet
from kernel.queries import list_entries
from tests.console.conftest import ask_token

ROOT = Path(__file__).resolve().parents[2]
Run = Callable[..., Any]


@pytest.fixture
def quickstart(db: None, capsys: Any) -> Run:
    def run() -> Any:
        call_command("quickstart", "--json")
        return json.loads(capsys.readouterr().out)

    return run


def test_first_run_prints_the_facts_of_the_contract(quickstart: Run, settings: Any) -> None:
    facts = quickstart()
    assert facts["operator"]["setup_url"].startswith(f"{settings.GATEHOUSE_BASE_URL}/setup/")
    del facts["operator"]["setup_url"]
    assert facts["application"].pop("client_secret")
    assert facts["application"].pop("client_id")
    assert facts == {
        "operator": {"username": "admin"},
        "domain": "default",
        "issuer": "default-ca",
        "role": "device-default",
        "enrolment_profile": "default",
        "broker": "embedded",
        "application": {},
    }


def test_later_run_prints_the_same_without_secrets_and_changes_nothing(quickstart: Run) -> None:
    first = quickstart()
    newest = list_entries(limit=1)[0].seq
    second = quickstart()
    del first["operator"]["setup_url"], first["application"]["client_secret"]
    assert second == first
    assert list_entries(limit=1)[0].seq == newest


def test_application_of_the_first_run_may_use_every_scope(quickstart: Run, client: Client) -> None:
    facts = quickstart()
    answer = ask_token(client, NewApplication(**facts["application"]))
    supported = client.get("/.well-known/oauth-authorization-server").json()["scopes_supported"]
    assert sorted(answer.json()["scope"].split()) == supported


def test_setup_link_makes_the_owner_of_the_domain(quickstart: Run, client: Client) -> None:
    path = quickstart()["operator"]["setup_url"].partition("/setup/")[2]
    assert client.get(f"/setup/{path}").status_code == 200
    membership = Membership.objects.get()
    assert (membership.role, membership.operator.username) == ("owner", "admin")
    assert fleet.get_domain(slug="default").id == membership.domain_id


def test_starter_role_says_what_the_contract_says(quickstart: Run) -> None:
    quickstart()
    role = find_role(domain=fleet.get_domain(slug="default").id, name="device-default")
    assert role is not None
    assert {(str(rule.effect), *map(str, rule.actions), rule.topic) for rule in role.rules} == {
        ("allow", "publish", "${domain}/${client_id}/up/#"),
        ("allow", "subscribe", "${domain}/${client_id}/down/#"),
        ("allow", "subscribe", "${domain}/all/#"),
    }


def test_run_that_was_broken_off_is_taken_up(quickstart: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("console.services.first_run.make_setup_link", die)
        with pytest.raises(KeyboardInterrupt):
            quickstart()
    assert Application.objects.count() == 1
    facts = quickstart()
    assert facts["operator"]["setup_url"]
    assert facts["application"]["client_secret"]
    assert Application.objects.count() == Operator.objects.count() == 1


def test_operator_without_a_password_is_told_of_the_next_link(quickstart: Run, capsys: Any) -> None:
    quickstart()
    call_command("quickstart", "--json")
    assert "manage.py setup_link admin" in capsys.readouterr().err
    call_command("setup_link", "admin", "--json")
    document = json.loads(capsys.readouterr().out)
    assert (document["username"], "/setup/" in document["setup_url"]) == ("admin", True)


def test_people_read_prose(quickstart: Run, capsys: Any, db: None) -> None:
    call_command("quickstart")
    text = capsys.readouterr().out
    assert "/setup/" in text
    assert "secret" in text


def test_two_at_once_on_an_empty_folder_do_no_harm(tmp_path: Path) -> None:
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("GATEHOUSE_", "DJANGO_", "DATABASE_"))
    }
    words = [sys.executable, "manage.py", "quickstart", "--json"]
    environ = {**kept, "GATEHOUSE_HOME": str(tmp_path)}
    running = [
        subprocess.Popen(words, cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    outputs = [process.communicate(timeout=300) for process in running]
    assert [process.returncode for process in running] == [0, 0], outputs
    facts = [json.loads(output) for output, _ in outputs]
    assert sorted("setup_url" in fact["operator"] for fact in facts) == [False, True]
    assert facts[0]["application"]["client_id"] == facts[1]["application"]["client_id"]
