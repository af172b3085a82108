"""What follows from an entry: every task exists, and no action is forgotten."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from celery import current_app
from django.conf import settings
from django.utils.module_loading import import_string

from brokers.core.values import AdapterKind
from console.wiring import ROUTES, WITHOUT_CONSEQUENCE, adapters, broker_directory, router
from devices.core.values import DeviceState, PrincipalKind
from kernel.core.ids import EntryId, new_id
from kernel.core.journal import GENESIS, Entry, Queue, Step, Subject
from tests.cast import ADA, NORTH, NOW

ROOT = Path(__file__).resolve().parents[2]
APPS = ("console", "brokers", "devices", "pki", "acl", "kernel")
ACTION = re.compile(r'"((?:console|brokers|devices|pki|acl|kernel)\.[a-z_]+\.[a-z_]+)"')
RECORDS = re.compile(r"record|action=")
SUBJECT = re.compile(r'^_SUBJECT = "([a-z_.]+)"', re.MULTILINE)
STEM = re.compile(r'f"((?:console|brokers|devices|pki|acl|kernel)\.[a-z_]+)\.\{')
EITHER = re.compile(r'f"devices\.\{[a-z]+\.kind\}\.')
WORDS = {
    "devices.device": ("suspended", "resumed", "quarantined", "revoked", "decommissioned"),
    "devices.application": ("suspended", "resumed", "quarantined", "revoked", "decommissioned"),
    "devices.enrolment_request": ("approved", "denied"),
    "pki.certificate": ("revoked", "held", "released"),
}
"""What stands in the place of the braces where an action is put together."""

HOLDER = "01930000-0000-7000-8000-0000000000d1"
FACTS = {
    "issuer_slug": "default-ca",
    "holder": f"device:{HOLDER}",
    "issuers": ["default-ca"],
    "parts": 2,
    "broker": "hall-7",
    "broker_id": HOLDER,
}


def entry_of(action: str, **changed: Any) -> Entry:
    subject = Subject(kind=action.rpartition(".")[0], id=str(new_id()), label="it")
    whole = Entry(
        seq=1,
        id=EntryId(uuid4()),
        at=NOW,
        domain=NORTH,
        actor=ADA,
        action=action,
        subject=subject,
        before={},
        after=FACTS,
        note="",
        previous=GENESIS,
        digest=GENESIS,
    )
    return replace(whole, **changed)


class FakeBroker:
    def __init__(self, name: str) -> None:
        self.name, self.id = name, uuid4()


class FakeDevice:
    state = DeviceState.ACTIVE


@pytest.fixture(autouse=True)
def two_brokers(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [FakeBroker("embedded"), FakeBroker("hall-7")]
    monkeypatch.setattr("console.wiring.brokers.list_brokers", lambda *, domains: found if domains == [NORTH] else [])
    monkeypatch.setattr("console.wiring.fleet.get_principal", lambda **_: FakeDevice)
    monkeypatch.setattr(FakeDevice, "state", DeviceState.ACTIVE)


def steps(action: str, **changed: Any) -> list[Step]:
    return list(router.steps_for(entry_of(action, **changed)))


def recorded_actions() -> Iterator[str]:
    """Every action that the code passes to record(), as far as a text search finds it."""
    for app in APPS:
        for path in (ROOT / app).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            if path.name == "wiring.py" or "migrations" in path.parts or not RECORDS.search(text):
                continue
            for stem in SUBJECT.findall(text):  # an action may be put together from the subject's kind
                text = text.replace('f"{_SUBJECT}.', f'f"{stem}.')
            if EITHER.search(text):  # or from the kind of the principal
                text = "".join(EITHER.sub(f'"devices.{kind}.', text) for kind in PrincipalKind)
                text = re.sub(r'"(devices\.[a-z]+\.\{)', r'f"\1', text)
            yield from ACTION.findall(text)
            for stem in STEM.findall(text):
                yield from (f"{stem}.{word}" for word in WORDS[stem])


def test_every_recorded_action_is_routed_or_listed_as_without_consequence() -> None:
    not_actions = {"kernel.journal.seal"}
    purposes = {action for action in recorded_actions() if action.startswith(("console.oauth.", "console.setup_link."))}
    unknown = set(recorded_actions()) - set(ROUTES) - WITHOUT_CONSEQUENCE - not_actions - purposes
    assert unknown == set()


def test_every_route_is_of_an_action_that_somebody_records() -> None:
    assert set(ROUTES) | WITHOUT_CONSEQUENCE <= set(recorded_actions())
    assert not set(ROUTES) & WITHOUT_CONSEQUENCE


def test_every_routed_task_exists() -> None:
    current_app.loader.import_default_modules()
    tasks = {step.task for action in ROUTES for step in steps(action)}
    assert tasks <= set(current_app.tasks)


def test_every_scheduled_task_exists() -> None:
    current_app.loader.import_default_modules()
    scheduled = {line["task"] for line in settings.CELERY_BEAT_SCHEDULE.values()}
    assert scheduled <= set(current_app.tasks)


@pytest.mark.parametrize("action", sorted(ROUTES))
def test_step_names_fit_their_columns(action: str) -> None:
    for step in steps(action):
        assert len(step.task) <= 64
        assert len(step.order_key) <= 200


def test_revoked_device_leaves_every_broker_then_ocsp_and_crl_say_so() -> None:
    found = steps("devices.device.revoked")
    assert [(step.task, step.target) for step in found] == [
        ("brokers.evict", "broker:embedded"),
        ("brokers.evict", "broker:hall-7"),
        ("pki.confirm_revocation", "ocsp"),
        ("pki.publish_crl", "crl:default-ca"),
    ]
    assert {step.queue for step in found} == {Queue.REVOCATION}
    assert found[0].order_key != found[1].order_key


def test_suspended_device_leaves_every_broker() -> None:
    assert [step.target for step in steps("devices.device.suspended")] == ["broker:embedded", "broker:hall-7"]


def test_changed_role_reaches_every_broker_without_standing_before_a_revocation() -> None:
    found = steps("acl.role.changed")
    assert [(step.task, step.queue) for step in found] == [("brokers.push", Queue.POLICY)] * 2


def test_revoked_certificate_throws_out_its_device() -> None:
    found = steps("pki.certificate.revoked")
    assert [step.target for step in found] == ["broker:embedded", "broker:hall-7", "ocsp", "crl:default-ca"]


def test_certificate_of_a_device_that_is_thrown_out_leaves_the_brokers_to_the_device(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(FakeDevice, "state", DeviceState.REVOKED)
    assert [step.target for step in steps("pki.certificate.revoked")] == ["ocsp", "crl:default-ca"]


def test_certificate_of_a_broker_is_revoked_without_throwing_out_a_device() -> None:
    found = steps("pki.certificate.revoked", after={**FACTS, "holder": "broker:1"})
    assert [step.target for step in found] == ["ocsp", "crl:default-ca"]


def test_steps_of_one_broker_wait_for_each_other() -> None:
    broker = str(uuid4())
    subject = Subject(kind="brokers.broker", id=broker, label="hall-7")
    [applied] = steps("brokers.plan.applied", subject=subject)
    [registered] = steps("brokers.broker.registered", subject=subject)
    assert applied.order_key == registered.order_key == f"push:{broker}"
    assert applied.target == "broker:hall-7"


def test_entry_without_a_domain_concerns_no_broker() -> None:
    assert steps("acl.role.changed", domain=None) == []


def test_sign_in_has_no_consequence() -> None:
    assert steps("console.operator.signed_in") == []


def test_every_kind_of_broker_has_its_adapter() -> None:
    assert set(adapters) == {kind.value for kind in AdapterKind}
    for name in adapters.values():
        assert callable(import_string(name))


def test_broker_directory_answers_for_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("console.wiring.brokers.endpoints", lambda domain: [domain])
    found: Any = broker_directory.endpoints(NORTH)
    assert found == [NORTH]


def test_what_is_one_of_many_leaves_threads_to_others() -> None:
    """A worker has 32: check by check and push by push have to come between the parts of a large order."""
    parts = steps("pki.issuance.ordered", after={"parts": 1_000})
    assert {step.queue for step in parts} == {Queue.BULK}
    assert len({step.order_key for step in parts}) == 8
    at_one_broker = {
        step.order_key
        for _ in range(100)  # devices
        for step in steps("brokers.session.end_ordered", after=FACTS | {"bulk": True})
    }
    assert len(at_one_broker) == 1


def test_gates_of_rollouts_are_looked_at_by_the_worker_that_nothing_long_gets_to() -> None:
    schedule: dict[str, Any] = dict(settings.CELERY_BEAT_SCHEDULE)
    assert schedule["rollouts"]["options"]["queue"] == Queue.REVOCATION
