"""What a broker does not say may be anything: only what every reading allows is allowed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from acl.core.values import Allow, BoundRule, Deny, Retain, Shared
from brokers.core.decide.decisions import Acts, Identity, Login, Password, Presence, Wish, WishKind
from brokers.core.decide.judging import Judged, judge, judge_wish
from brokers.core.ports import Standing
from tests.brokers.core.deciding import NOW, PROOFS, PUMP, TOKEN, UNTIL, Proven
from tests.brokers.subjects import PUBLISH, SUBSCRIBE, rule, subject


def narrowed(bound: BoundRule, **conditions: object) -> BoundRule:
    return replace(bound, rule=replace(bound.rule, **conditions))  # type: ignore[arg-type]


def allows(wish: Wish, *policy: BoundRule) -> bool:
    return isinstance(judge_wish(wish, Judged.of(subject("pump-1", *policy)))[1], Allow)


UP, DOWN = rule("allow", PUBLISH, "up"), rule("allow", SUBSCRIBE, "down")
PUBLISHED, SUBSCRIBED = Wish(kind=WishKind.PUBLISH, topic="up"), Wish(kind=WishKind.SUBSCRIBE, topic="down")


def test_an_unknown_qos_has_to_be_allowed_whatever_it_is() -> None:
    low, high = narrowed(UP, qos=frozenset({0})), narrowed(UP, qos=frozenset({1, 2}))
    assert not allows(PUBLISHED, low)
    assert allows(PUBLISHED, low, high)
    assert allows(PUBLISHED._replace(qos=frozenset({0})), low)
    assert not allows(PUBLISHED._replace(qos=frozenset({1})), low)


def test_an_unknown_retain_flag_has_to_be_allowed_set_and_unset() -> None:
    unretained = narrowed(UP, retain=Retain.NEVER)
    assert not allows(PUBLISHED, unretained)
    assert allows(PUBLISHED._replace(retain=frozenset({False})), unretained)
    assert not allows(PUBLISHED._replace(retain=frozenset({True})), unretained)
    refused = narrowed(rule("deny", PUBLISH, "up"), retain=Retain.ONLY)
    assert not allows(PUBLISHED, UP, refused)


def test_an_unknown_group_has_to_be_allowed_whichever_it_is() -> None:
    unknown = SUBSCRIBED._replace(any_group=True)
    plain, shared = narrowed(DOWN, shared=Shared.NEVER), narrowed(DOWN, shared=Shared.ONLY)
    assert allows(unknown, DOWN)
    assert not allows(unknown, plain)
    assert not allows(unknown, shared)
    assert allows(unknown, plain, shared)
    other = narrowed(rule("deny", SUBSCRIBE, "down"), shared=Shared.ONLY, shared_group="g")
    assert not allows(unknown, DOWN, other)
    assert allows(SUBSCRIBED, plain)


@pytest.mark.parametrize("standing", [Standing.BARRED, Standing.ABSENT])
def test_who_is_not_admitted_may_nothing(standing: Standing) -> None:
    judged = Judged.of(replace(PUMP, state=standing))
    for question in (
        Login(username="pump-1", certificate=b"good"),
        Presence(username="pump-1"),
        Acts(username="pump-1", client_id="pump-1", wishes=(PUBLISHED,)),
    ):
        found = judge(question, judged, Identity.CERTIFICATE, proofs=PROOFS, now=NOW)
        assert not found.all_allowed
        assert found.until is None


def test_a_question_about_nothing_is_refused() -> None:
    none = Acts(username="pump-1", client_id="pump-1", wishes=())
    assert not judge(none, Judged.of(PUMP), Identity.CERTIFICATE, proofs=PROOFS, now=NOW).all_allowed


def test_a_refusal_names_the_rule() -> None:
    denied = rule("deny", PUBLISH, "up")
    _, verdict = judge_wish(PUBLISHED, Judged.of(subject("pump-1", UP, denied)))
    assert isinstance(verdict, Deny)
    assert verdict.rule == denied


GOOD = Password("correct horse")


def lets_in(identity: Identity, **members: object) -> bool:
    login = Login(username="pump-1", client_id="pump-1", **members)  # type: ignore[arg-type]
    found = judge(login, Judged.of(PUMP), identity, proofs=PROOFS, now=NOW)
    assert found.until == (UNTIL if found.all_allowed else None)
    return found.all_allowed


@pytest.mark.parametrize("identity", Identity)
def test_a_password_or_a_token_that_proves_the_device_lets_it_in(identity: Identity) -> None:
    assert lets_in(identity, password=GOOD)
    assert lets_in(identity, password=Password(TOKEN))
    assert lets_in(identity, password=GOOD, common_name="")  # there is no certificate
    assert lets_in(identity, password=GOOD, common_name="pump-1")
    for wrong in ("", "wrong", TOKEN + "x", TOKEN.replace("eyJ", "eyX")):
        assert not lets_in(identity, password=Password(wrong))
    assert not lets_in(identity, password=GOOD, common_name="pump-2")


@pytest.mark.parametrize("identity", Identity)
def test_a_certificate_that_is_shown_decides_alone(identity: Identity) -> None:
    assert lets_in(identity, certificate=b"good", password=Password("wrong"))
    assert not lets_in(identity, certificate=b"bad", password=GOOD)
    assert not lets_in(identity, certificate=b"bad", password=Password(TOKEN))
    assert not lets_in(identity, certificate=b"", password=GOOD)
    assert not lets_in(identity, certificate=b"good", common_name="")


def test_what_has_the_shape_of_a_token_is_never_a_password() -> None:
    """And the other way round: so that nobody can try the one as the other."""
    proofs = Proven(tokens=frozenset({"correct horse"}), passwords=frozenset({TOKEN}))
    for text in ("correct horse", TOKEN):
        login = Login(username="pump-1", password=Password(text))
        assert not judge(login, Judged.of(PUMP), Identity.SHOWN, proofs=proofs, now=NOW).all_allowed


def test_a_password_is_not_shown() -> None:
    login = Login(username="pump-1", password=GOOD)
    assert GOOD.text not in repr(login)
    assert GOOD.text not in str(GOOD)
