"""/api/v1/policy/suggestions/: from what brokers told to a draft."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from acl import services as acl
from acl.core.values import Action
from acl.queries import get_role
from brokers import models, services
from brokers.core.values import AdapterKind
from brokers.services.use_findings import UseFindings
from console.core.roles import EVERY_SCOPE
from devices import services as devices
from devices.core.policy_changes import PolicyChangeId
from devices.queries.policy import policy_document
from devices.queries.policy_changes import get_change
from devices.services.bindings import BindingTarget
from kernel.core.clock import utc_now
from kernel.core.ids import new_id
from tests.brokers.api.conftest import Api, Caller
from tests.brokers.fleet import PUMP_RULES, allow, deny
from tests.cast import ADA


class Past:
    """A domain whose policy is 40 days old, and a broker that told of all that was done since."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = utc_now()
        self.domain = devices.create_domain(slug="north", name="North", actor=ADA, now=self.now).id
        self.role = acl.create_role(domain=self.domain, name="pump", rules=PUMP_RULES, actor=ADA, now=self.now)
        everybody = BindingTarget(domain="north")
        devices.bind_role(domain=self.domain, role=self.role.id, target=everybody, actor=ADA, now=self.now)
        broker = services.register_broker(
            domain=self.domain,
            name="hall-7",
            kind=AdapterKind.MOSQUITTO_DYNSEC,
            connection={"host": "127.0.0.1", "port": 1883, "username": "gatehouse/control", "password": "pw"},
            actor=ADA,
            now=self.now,
        )
        self.broker = models.Broker.objects.get(id=broker.id)
        self.broker.managed_since = self.now
        self.broker.save()
        then = self.now - timedelta(days=40)
        monkeypatch.setattr("brokers.services.suggesting._made_on", lambda _id: then.date())

    def hear(self, *, publishes: int = 1, subscribes: int = 1, minutes: int = 1440) -> None:
        for number in range(41):
            models.HeardDay.objects.create(
                broker=self.broker,
                day=(self.now - timedelta(days=number)).date(),
                minutes=minutes,
                publishes=publishes,
                subscribes=subscribes,
            )

    def use(self, topic: str, *filters: str, days: int = 3, count: int = 5) -> None:
        """The rule with that topic was used."""
        rules = get_role(id=self.role.id).rules
        [rule] = [rule for rule in rules if rule.topic == topic]
        models.RuleUse.objects.create(
            broker=self.broker,
            rule_id=rule.id,
            day=(self.now - timedelta(days=days)).date(),
            count=count,
            filters=list(filters),
        )


@pytest.fixture
def past(db: None, monkeypatch: pytest.MonkeyPatch) -> Past:
    return Past(monkeypatch)


@pytest.fixture
def api(past: Past, caller: Caller) -> Api:
    return caller(past.domain, EVERY_SCOPE)


def suggested(api: Api, query: str = "") -> dict[str, tuple[str, list[str]]]:
    answer = api.get(f"policy/suggestions/{query}")
    assert answer.status_code == 200, answer.content
    return {each["rule"]["topic"]: (each["kind"], each["filters"]) for each in answer.json()["results"]}


def test_what_nobody_uses_and_what_is_too_wide_is_suggested(api: Api, past: Past) -> None:
    past.hear()
    past.use("${domain}/${client_id}/up/#", "${domain}/${client_id}/up/t")
    past.use("${domain}/all/#", "${domain}/all/#")
    assert suggested(api) == {
        "${domain}/${client_id}/up/#": ("narrow-rule", ["${domain}/${client_id}/up/t"]),
        "${domain}/${client_id}/down/#": ("drop-rule", []),
    }


def test_use_before_the_days_asked_for_is_none(api: Api, past: Past) -> None:
    past.hear()
    past.use("${domain}/all/#", "${domain}/all/#", days=20)
    assert "${domain}/all/#" not in suggested(api)
    assert suggested(api, "?days=10")["${domain}/all/#"] == ("drop-rule", [])


@pytest.mark.parametrize(
    ("heard", "told"),
    [
        ({"minutes": 60}, {"${domain}/${client_id}/up/#"}),  # subscriptions are told to who listens alone
        ({"subscribes": 0}, {"${domain}/${client_id}/up/#"}),
        ({"publishes": 0}, {"${domain}/${client_id}/down/#", "${domain}/all/#"}),
    ],
)
def test_nothing_is_suggested_where_not_all_is_known(api: Api, past: Past, heard: Any, told: set[str]) -> None:
    past.hear(**heard)
    assert set(suggested(api)) == told
    uses = api.get("policy/rule-use/").json()["results"]
    assert {use["topic"] for use in uses if not use["unknown"]} == told


def test_broker_that_tells_nothing_keeps_everything(api: Api, past: Past) -> None:
    past.hear()
    other = services.register_broker(
        domain=past.domain,
        name="hall-8",
        kind=AdapterKind.MOSQUITTO_DYNSEC,
        connection={"host": "127.0.0.1", "port": 1884, "username": "gatehouse/control", "password": "pw"},
        actor=ADA,
        now=past.now,
    )
    assert suggested(api) != {}  # no device is there yet
    models.Broker.objects.filter(id=other.id).update(managed_since=past.now)
    assert suggested(api) == {}
    assert {use["unknown"] for use in api.get("policy/rule-use/").json()["results"]} == {
        "hall-8 did not tell of every publish in this time.",
        "hall-8 did not tell of every subscribe in this time.",
    }


def test_rule_or_binding_that_is_new_is_kept(api: Api, past: Past, monkeypatch: pytest.MonkeyPatch) -> None:
    past.hear()
    monkeypatch.undo()  # ids tell when they were made
    assert suggested(api) == {}
    assert {use["unknown"] for use in api.get("policy/rule-use/").json()["results"]} == {"It is too new."}


def test_draft_does_what_is_suggested_and_nothing_else(api: Api, past: Past) -> None:
    secret = deny(Action.PUBLISH, "${domain}/${client_id}/up/secret")
    acl.change_role(role=past.role.id, rules=[*PUMP_RULES, secret], actor=ADA, now=past.now)
    past.hear()
    past.use("${domain}/${client_id}/up/#", "${domain}/${client_id}/up/t", "${domain}/${client_id}/up/log/#")
    past.use("${domain}/all/#", "${domain}/all/#")
    ids = [each["id"] for each in api.get("policy/suggestions/").json()["results"]]
    answer = api.post("policy/suggestions/draft/", {"suggestions": ids})
    assert answer.status_code == 201, answer.content
    assert answer.json()["title"] == "Narrow pump to what was used in 30 days"
    change = get_change(change=PolicyChangeId(UUID(answer.json()["change"])), domains=[past.domain])
    [role] = change.document.roles
    assert role.rules == (
        allow(Action.PUBLISH, "${domain}/${client_id}/up/log/#"),
        allow(Action.PUBLISH, "${domain}/${client_id}/up/t"),
        allow(Action.SUBSCRIBE, "${domain}/all/#"),
        secret,
    )
    assert policy_document(domain=past.domain) == change.base


def test_suggestion_that_is_gone_makes_no_draft(api: Api, past: Past) -> None:
    past.hear()
    ids = [each["id"] for each in api.get("policy/suggestions/").json()["results"]]
    past.use("${domain}/all/#", "${domain}/all/#")
    answer = api.post("policy/suggestions/draft/", {"suggestions": ids})
    assert (answer.status_code, answer.json()["code"]) == (409, "suggestion-gone")


def test_denied_attempts_are_told(api: Api, past: Past) -> None:
    one, at = new_id(), past.now

    def denied(topic: str, count: int, rule: UUID | None = None) -> None:
        models.DeniedAttempt.objects.create(
            broker=past.broker, device_id=one, action="publish", topic=topic, reason="not-allowed", rule_id=rule,
            day=at.date(), count=count, first_at=at, last_at=at,
        )  # fmt: skip

    denied("other/x", 3)
    denied("other/y", 9)
    denied("other/z", 2)
    secret = deny(Action.PUBLISH, "other/w")
    changed = acl.change_role(role=past.role.id, rules=[*PUMP_RULES, secret], actor=ADA, now=past.now)
    rule = changed.rules[-1].id
    denied("other/w", 4, rule)
    found = api.get("policy/denied/").json()["results"]
    assert [(each["topic"], each["count"], each["device"]) for each in found] == [
        ("other/y", 9, str(one)),
        ("other/w", 4, str(one)),
        ("other/x", 3, str(one)),
    ]
    of_role = api.get(f"policy/denied/?role={past.role.id}").json()["results"]
    assert [(each["topic"], each["rule"]) for each in of_role] == [("other/w", str(rule))]


def test_findings_are_of_what_nobody_uses(past: Past) -> None:
    assert list(UseFindings().find(domains=None, now=past.now)) == []
    past.hear()
    past.use("${domain}/${client_id}/up/#", "${domain}/${client_id}/up/t")
    [finding] = UseFindings().find(domains=[past.domain], now=past.now)
    assert (finding.code, finding.severity.value, finding.subject.label) == ("permission-unused", "info", "pump")
    assert "${domain}/all/#" in finding.detail
    assert "up/#" not in finding.detail
    assert list(UseFindings().find(domains=[], now=past.now)) == []


def test_another_domain_sees_and_drafts_nothing(past: Past, caller: Caller) -> None:
    past.hear()
    south = devices.create_domain(slug="south", name="South", actor=ADA, now=past.now)
    stranger = caller(south.id, EVERY_SCOPE)
    assert suggested(stranger) == {}
    assert stranger.get("policy/suggestions/?domain=north").status_code == 404
    assert stranger.get(f"policy/suggestions/?role={past.role.id}").status_code == 404
    ids = [f"drop-rule:{rule.id}" for rule in past.role.rules]
    assert stranger.post("policy/suggestions/draft/", {"suggestions": ids}).status_code == 409
    assert stranger.post("policy/suggestions/draft/", {"suggestions": ids, "domain": "north"}).status_code == 404


def test_days_are_bounded(api: Api) -> None:
    for days in ("0", "366", "x", "-1"):
        answer = api.get(f"policy/suggestions/?days={days}")
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid-days")
