"""Operators get in by a link that works once, and what they do stands in the journal."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import authenticate
from django.db import connection
from django.utils.module_loading import import_string

from console import settings as installed
from console.core.roles import ConsoleRole
from console.models import Membership, Operator, SetupLink
from console.services.operators import (
    OperatorExists,
    SetupLinkSpent,
    WeakPassword,
    WrongUsername,
    change_time_zone,
    create_operator,
    grant_role,
    make_setup_link,
    note_signed_in,
    open_setup_link,
    redeem_setup_link,
)
from kernel.core.actor import SYSTEM
from kernel.core.errors import DomainError, Invalid
from kernel.queries import list_entries
from tests.cast import NORTH, NOW

GOOD = "correct horse battery staple"


@pytest.fixture
def ada(db: None) -> Operator:
    return create_operator(username="Ada", actor=SYSTEM, now=NOW)


def token_of(url: str) -> str:
    return url.rstrip("/").rpartition("/")[2]


def redeem(url: str, password: str = GOOD, **changed: Any) -> Operator:
    arguments = {"address": "192.0.2.10", "now": NOW + timedelta(hours=1), **changed}
    return redeem_setup_link(token=token_of(url), password=password, **arguments)


def test_new_operator_has_no_password(ada: Operator) -> None:
    assert ada.username == "ada"
    assert not ada.has_usable_password()


def test_user_names_differ_whatever_their_case(ada: Operator) -> None:
    with pytest.raises(OperatorExists):
        create_operator(username="ADA", actor=SYSTEM, now=NOW)


@pytest.mark.parametrize("name", ["", "a b", "-a", "a\x00b", "ä", "a" * 151, "<script>"])
@pytest.mark.django_db
def test_user_name_of_other_characters_is_refused(name: str) -> None:
    with pytest.raises(WrongUsername):
        create_operator(username=name, actor=SYSTEM, now=NOW)


def test_link_lets_the_operator_choose_a_password(ada: Operator, settings: Any, rf: Any) -> None:
    url = make_setup_link(operator=ada, actor=SYSTEM, now=NOW)
    assert url.startswith(f"{settings.GATEHOUSE_BASE_URL}/setup/")
    assert len(token_of(url)) >= 22  # 128 bits in base64url
    assert open_setup_link(token=token_of(url), now=NOW) == ada
    redeem(url)
    assert authenticate(request=rf.post("/"), username="ada", password=GOOD) == ada
    assert Operator.objects.get().password.startswith("argon2")


def test_an_installation_hashes_at_the_full_price_of_argon2() -> None:
    [hasher] = installed.PASSWORD_HASHERS  # that of the tests is cheaper
    assert import_string(hasher)().encode(GOOD, "salt" * 4).startswith("argon2$argon2id$v=19$m=102400,t=2,p=8$")


def test_link_works_once(ada: Operator) -> None:
    url = make_setup_link(operator=ada, actor=SYSTEM, now=NOW)
    redeem(url)
    with pytest.raises(SetupLinkSpent):
        redeem(url, "another good passphrase")
    assert ada.__class__.objects.get().check_password(GOOD)


def test_link_ends_after_two_days(ada: Operator) -> None:
    url = make_setup_link(operator=ada, actor=SYSTEM, now=NOW)
    with pytest.raises(SetupLinkSpent):
        redeem(url, now=NOW + timedelta(days=2, seconds=1))


def test_new_link_ends_the_old_one(ada: Operator) -> None:
    first = make_setup_link(operator=ada, actor=SYSTEM, now=NOW)
    make_setup_link(operator=ada, actor=SYSTEM, now=NOW)
    with pytest.raises(SetupLinkSpent):
        redeem(first)


@pytest.mark.parametrize("token", ["", "x", "x" * 10_000, "\x00"])
@pytest.mark.django_db
def test_unknown_token_is_as_good_as_a_spent_one(token: str) -> None:
    with pytest.raises(SetupLinkSpent):
        open_setup_link(token=token, now=NOW)


@pytest.mark.parametrize("password", ["", "short", "password1234"])
def test_weak_password_leaves_the_link_open(ada: Operator, password: str) -> None:
    url = make_setup_link(operator=ada, actor=SYSTEM, now=NOW)
    with pytest.raises(WeakPassword) as caught:
        redeem(url, password)
    assert {fault.pointer for fault in caught.value.errors} == {"/password"}
    redeem(url)


def test_link_of_a_switched_off_operator_is_spent(ada: Operator) -> None:
    url = make_setup_link(operator=ada, actor=SYSTEM, now=NOW)
    Operator.objects.update(is_active=False)
    with pytest.raises(SetupLinkSpent):
        redeem(url)


def test_token_is_not_in_the_database_nor_in_the_journal(ada: Operator) -> None:
    token = token_of(make_setup_link(operator=ada, actor=SYSTEM, now=NOW))
    assert bytes(SetupLink.objects.get().token_hash) != token.encode()
    assert len(bytes(SetupLink.objects.get().token_hash)) == 32
    assert token not in repr(list_entries())


@pytest.mark.several_writers
@pytest.mark.django_db(transaction=True)
def test_two_at_once_with_one_link_are_one_operator_and_one_refusal() -> None:
    ada = create_operator(username="ada", actor=SYSTEM, now=NOW)
    url = make_setup_link(operator=ada, actor=SYSTEM, now=NOW)
    outcomes: list[str] = []
    gate = threading.Barrier(2)

    def run(password: str) -> None:
        gate.wait()
        try:
            redeem(url, password)
            outcomes.append(password)
        except DomainError as error:
            outcomes.append(error.code)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(f"{GOOD} {number}",)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert "setup-link-spent" in outcomes
    [winner] = [outcome for outcome in outcomes if outcome != "setup-link-spent"]
    assert Operator.objects.get().check_password(winner)


def test_role_in_a_domain_is_one_and_can_change(ada: Operator) -> None:
    grant_role(operator=ada, domain=NORTH, role=ConsoleRole.AUDITOR, actor=SYSTEM, now=NOW)
    grant_role(operator=ada, domain=NORTH, role=ConsoleRole.OWNER, actor=SYSTEM, now=NOW)
    grant_role(operator=ada, domain=NORTH, role=ConsoleRole.OWNER, actor=SYSTEM, now=NOW)
    assert Membership.objects.get().role == ConsoleRole.OWNER
    entry = list_entries()[0]
    assert (entry.before, entry.after, entry.seq) == ({"role": "auditor"}, {"role": "owner"}, 3)


def test_journal_tells_the_story(ada: Operator) -> None:
    redeem(make_setup_link(operator=ada, actor=SYSTEM, now=NOW))
    note_signed_in(operator=ada, address="192.0.2.10", now=NOW)
    actions = [(entry.action, entry.actor.label, entry.actor.address) for entry in reversed(list_entries())]
    assert actions == [
        ("console.operator.created", "Gatehouse", ""),
        ("console.operator.setup_link_made", "Gatehouse", ""),
        ("console.operator.set_up", "ada", "192.0.2.10"),
        ("console.operator.signed_in", "ada", "192.0.2.10"),
    ]


def test_time_zone_has_to_exist(ada: Operator) -> None:
    change_time_zone(operator=ada, time_zone="Europe/Vienna", now=NOW)
    assert Operator.objects.get().time_zone == "Europe/Vienna"
    with pytest.raises(Invalid):
        change_time_zone(operator=ada, time_zone="Mars/Olympus", now=NOW)
