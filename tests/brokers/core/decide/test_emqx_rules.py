"""EMQX takes the rules with the login: those that the proved compiler makes, for ten minutes at most."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import pytest

from acl.core.values import Publish, Subscribe
from brokers.core.decide.decisions import Identity
from brokers.core.decide.emqx_rules import AUTHN_ACL
from brokers.core.decide.judging import Judged, judge
from brokers.core.emqx import acl as emqx_acl
from brokers.core.emqx import emulator as emqx_emulator
from brokers.core.emqx.rule import rules_of
from tests.brokers.core.decide.test_emqx import DENY, login
from tests.brokers.core.deciding import NOW, PROOFS, PUMP, answered

TEN_PAST = 1795263000  # 2026-11-21T12:10:00Z by `date -u -d … +%s`


def said(until: datetime | None = None, **changes: Any) -> Any:
    question = AUTHN_ACL.read(login(**changes))
    judgement = judge(question, Judged.of(PUMP, until=until), Identity.SHOWN, proofs=PROOFS, now=NOW)
    return json.loads(AUTHN_ACL.say(question, judgement).body)


def test_the_rules_come_with_the_login_and_end_within_ten_minutes() -> None:
    found = said()
    assert {name: found[name] for name in ("result", "is_superuser", "expire_at")} == {
        "result": "allow", "is_superuser": False, "expire_at": TEN_PAST,
    }  # fmt: skip
    rules = rules_of(found["acl"])
    assert rules == emqx_acl.parse(emqx_acl.render([PUMP]).artifact)["pump-1"]
    state, principal = {"pump-1": rules}, PUMP.principal
    assert emqx_emulator.emulate(state, principal, Publish(topic="north/pump-1/up/t"))
    assert not emqx_emulator.emulate(state, principal, Publish(topic="north/pump-2/up/t"))
    assert not emqx_emulator.emulate(state, principal, Subscribe(topic="#"))


@pytest.mark.parametrize(("until", "ends"), [(timedelta(seconds=90), TEN_PAST - 510), (timedelta(days=1), TEN_PAST)])
def test_they_end_when_the_policy_changes_by_itself(until: timedelta, ends: int) -> None:
    assert said(until=NOW + until)["expire_at"] == ends


@pytest.mark.parametrize("wrong", [{"cert_pem": ""}, {"cert_cn": "pump-2"}, {"clientid": "pump-2"}, {"username": None}])
def test_who_is_denied_gets_no_rules(wrong: dict[str, Any]) -> None:
    answer = answered(AUTHN_ACL, login(**wrong), identity=Identity.SHOWN)
    assert (answer.status, json.loads(answer.body)) == (200, DENY)
