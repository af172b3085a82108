"""mosquitto-go-auth: what its HTTP backend sends, and what it reads of the answer."""

from __future__ import annotations

import json

import pytest

from brokers.core.decide.decisions import Asked, Identity
from brokers.core.decide.goauth import ACLCHECK, GETUSER, SUPERUSER
from tests.brokers.core.deciding import TOKEN, answered, document, form


def check(topic: str, acc: object, *, username: str = "pump-1", clientid: str = "pump-1") -> Asked:
    return document(username=username, clientid=clientid, topic=topic, acc=acc)


def allows(asked: Asked, *, identity: Identity = Identity.CERTIFICATE) -> bool:
    """Status and body have to agree: the plugin reads the one or the other."""
    answer = answered(ACLCHECK, asked, identity=identity)
    assert (answer.status == 200) == json.loads(answer.body)["ok"]
    assert answer.status in {200, 403}
    return answer.status == 200


def test_each_access_is_another_question() -> None:
    up, down = "north/pump-1/up/t", "north/pump-1/down/t"
    assert [allows(check(up, acc)) for acc in (1, 2, 3, 4)] == [False, True, False, False]
    assert [allows(check(down, acc)) for acc in (1, 2, 3, 4)] == [True, False, False, True]
    assert allows(check("north/pump-1/down/#", 4))
    assert not allows(check("north/pump-1/down/#", 1))
    assert allows(check("$share/g/north/all/x", 4))


def test_a_form_has_the_access_as_text() -> None:
    assert allows(form("username=pump-1&clientid=pump-1&topic=north%2Fpump-1%2Fup%2Ft&acc=2"))


@pytest.mark.parametrize("acc", [0, 5, "", None, True, 2.0, "2 "])
def test_an_access_that_there_is_not_is_refused(acc: object) -> None:
    assert not allows(check("north/pump-1/up/t", acc))


def test_names_are_believed_only_if_the_secret_says_so() -> None:
    assert not allows(check("north/pump-1/up/t", 2), identity=Identity.SHOWN)


def test_names_have_to_agree() -> None:
    assert not allows(check("north/pump-1/up/t", 2, clientid="pump-2"))
    assert not allows(check("north/pump-1/up/t", 2, username="pump-2"))
    assert not allows(check("north/pump-1/up/t", 2, username=""))


@pytest.mark.parametrize("identity", Identity)
def test_whoever_is_asked_about_has_to_give_a_good_password(identity: Identity) -> None:
    for password, status in (("", 403), ("x", 403), (None, 403), ("correct horse", 200), (TOKEN, 200)):
        asked = document(username="pump-1", password=password, clientid="pump-1")
        assert answered(GETUSER, asked, identity=identity).status == status


def test_nobody_is_superuser() -> None:
    assert answered(SUPERUSER, document(username="pump-1")).status == 403
