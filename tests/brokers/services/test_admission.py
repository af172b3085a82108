"""Who may enter, by certificate, device, client id and username together."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from acl import services as acl
from acl.core.values import Action
from brokers import models, services
from brokers.adapters.nats import NatsAdapter
from brokers.core.nats.callout import grant_digest
from brokers.core.nats.nkeys import AccountKey
from brokers.core.nats.policy import accepted_permissions, permissions
from brokers.core.ports import AppliedState, DesiredState, DeviationKind
from brokers.core.values import AdapterKind, Broker, Listener, SyncState
from brokers.queries import link_to
from brokers.services.admission import Admission, Refusal, judge_connect
from brokers.services.desired import desired_state
from brokers.services.held_back import without_unaccepted
from brokers.services.planning import render_broker
from devices import services as devices
from devices.core.windows import Window
from devices.services.bindings import BindingTarget
from kernel.core.clock import utc_now
from kernel.core.ids import new_id
from pki import queries as pki_queries
from pki import services as pki
from pki.core.values import ReasonCode
from tests.brokers.conftest import OpensslCa
from tests.brokers.fleet import PUMP_RULES, Enrolled, Fleet, allow, deny, make_request
from tests.cast import ADA

CONNECTION = {
    "host": "127.0.0.1",
    "port": 4222,
    "system_user": "s",
    "system_password": "sp",
    "callout_user": "c",
    "callout_password": "cp",
    "account": "FLEET",
}


def register(fleet: Fleet, name: str = "gw-1") -> Broker:
    return services.register_broker(
        domain=fleet.domain.id,
        name=name,
        kind=AdapterKind.NATS,
        connection={**CONNECTION, "issuer_seed": AccountKey.generate().seed},
        listeners=[Listener(host="127.0.0.1", port=8883)],
        actor=ADA,
        now=utc_now(),
    )


@pytest.fixture
def broker(fleet: Fleet) -> Broker:
    return register(fleet)


def chain_of(path: Path) -> list[str]:
    end = "-----END CERTIFICATE-----\n"
    return [pem + end for pem in path.read_text().split(end) if pem.strip()]


def judge(broker: Broker, enrolled: Enrolled, **changes: Any) -> Admission | Refusal:
    """The verdict over a right CONNECT of the device, but for the changes."""
    asked: dict[str, Any] = {
        "broker": broker.id,
        "chain": chain_of(enrolled.certificate),
        "client_id": enrolled.device.client_id,
        "username": "",
        "now": utc_now(),
    }
    return judge_connect(**asked | changes)


def test_device_is_admitted_with_its_policy(fleet: Fleet, broker: Broker) -> None:
    one = fleet.enroll("p-1")
    verdict = judge(broker, one)
    assert isinstance(verdict, Admission)
    assert (verdict.device, verdict.subject.principal.auth_id) == (one.id, "p-1")
    assert permissions(verdict.subject).publish_allow == ("north.p-1.up", "north.p-1.up.>")


def test_its_own_name_as_username_does_no_harm(fleet: Fleet, broker: Broker) -> None:
    assert isinstance(judge(broker, fleet.enroll("p-1"), username="p-1"), Admission)


def test_wider_rule_is_granted_once_somebody_has_accepted_it(fleet: Fleet, broker: Broker) -> None:
    """What is granted is what a convergence takes for right: whoever is connected with it stays."""
    one = fleet.enroll("p-1")
    fleet.change_role(*PUMP_RULES, allow(Action.PUBLISH, "+/news"), deny(Action.PUBLISH, "north/p-1/up/no"))
    adapter, desired = NatsAdapter(link=link_to(broker=broker.id)), desired_of(broker)
    deviations = adapter.render(desired).deviations
    [wider] = [each.id for each in deviations if each.kind is DeviationKind.WIDER]
    own, denied = ("north.p-1.up", "north.p-1.up.>"), "north.p-1.up.no"
    for accepted, allows in (([], own), (["0" * 16], own), ([wider], ("*.news", *own))):
        models.Broker.objects.update(accepted_deviations=accepted)
        verdict = judge(broker, one)
        assert isinstance(verdict, Admission)
        granted = accepted_permissions(verdict.subject, verdict.accepted)
        assert (granted.publish_allow, denied in granted.publish_deny) == (allows, True)
        held = [{"auth_id": "p-1", "grant": grant_digest(granted), "server": "S", "cid": 1}]
        applied = AppliedState(artifact=json.dumps(held), version="2.15.1")
        wanted = without_unaccepted(adapter, desired, deviations, accepted)
        assert adapter.plan(wanted, applied) == ()


def test_check_calls_nothing_in_sync_while_a_wider_rule_is_granted_to_nobody(
    fleet: Fleet, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    nobody = AppliedState(artifact="[]", version="2.15.1")
    monkeypatch.setattr(NatsAdapter, "read", lambda *_, **_only: nobody)
    fleet.enroll("p-1")
    assert services.compare_broker(broker=broker.id, now=utc_now()).sync is SyncState.IN_SYNC
    fleet.change_role(*PUMP_RULES, allow(Action.PUBLISH, "+/news"))
    for found in (services.compare_broker, services.check_drift, services.compare_broker):
        assert found(broker=broker.id, now=utc_now()).sync is SyncState.PENDING
    models.Broker.objects.update(
        accepted_deviations=[each.id for each in render_broker(broker=broker.id, now=utc_now()).deviations]
    )
    assert services.check_drift(broker=broker.id, now=utc_now()).sync is SyncState.IN_SYNC


def desired_of(broker: Broker) -> DesiredState:
    return desired_state(domain=broker.domain, broker=broker.id, now=utc_now())


def test_grant_lasts_an_hour(fleet: Fleet, broker: Broker) -> None:
    now = utc_now()
    verdict = judge(broker, fleet.enroll("p-1"), now=now)
    assert isinstance(verdict, Admission)
    assert verdict.expires_at == now + timedelta(hours=1)


def test_grant_never_outlives_the_certificate(fleet: Fleet, broker: Broker) -> None:
    one = fleet.enroll("p-1")
    ends = x509.load_pem_x509_certificate(one.certificate.read_bytes()).not_valid_after_utc
    verdict = judge(broker, one, now=ends - timedelta(minutes=5))
    assert isinstance(verdict, Admission)
    assert verdict.expires_at == ends


def test_grant_never_outlives_a_window_of_a_binding(fleet: Fleet, broker: Broker) -> None:
    one, now = fleet.enroll("p-1"), utc_now()
    rules = [allow(Action.PUBLISH, "shift/open")]
    role = acl.create_role(domain=fleet.domain.id, name="shift", rules=rules, actor=ADA, now=now)
    begins, ends = now + timedelta(minutes=10), now + timedelta(minutes=20)
    window = Window(not_before=begins, not_after=ends)
    target = BindingTarget(domain=fleet.domain.slug)
    devices.bind_role(domain=fleet.domain.id, role=role.id, target=target, window=window, actor=ADA, now=now)
    for asked, expires, holds in ((now, begins, False), (begins, ends, True), (ends, ends + timedelta(hours=1), False)):
        verdict = judge(broker, one, now=asked)
        assert isinstance(verdict, Admission)
        assert verdict.expires_at == expires
        assert ("shift.open" in permissions(verdict.subject).publish_allow) is holds


@pytest.mark.parametrize("client_id", ["p-2", "", "P-1", "p-1 ", "p-1\0", "p-1/x"])
def test_other_client_id_is_refused_and_said_whose_it_was(fleet: Fleet, broker: Broker, client_id: str) -> None:
    fleet.enroll("p-2")
    verdict = judge(broker, fleet.enroll("p-1"), client_id=client_id)
    assert isinstance(verdict, Refusal)
    assert verdict.auth_id == "p-1"
    assert "client id" in verdict.why


def test_other_username_is_refused(fleet: Fleet, broker: Broker) -> None:
    fleet.enroll("p-2")
    assert isinstance(judge(broker, fleet.enroll("p-1"), username="p-2"), Refusal)


@pytest.mark.parametrize("chain", [[], [""], ["not a certificate"], ["-----BEGIN CERTIFICATE-----\nAAAA\n"]])
def test_without_a_readable_certificate_nobody_enters(fleet: Fleet, broker: Broker, chain: list[str]) -> None:
    assert isinstance(judge(broker, fleet.enroll("p-1"), chain=chain), Refusal)


def test_certificate_of_a_stranger_with_our_names_is_refused(
    fleet: Fleet, broker: Broker, openssl_ca: OpensslCa
) -> None:
    one = fleet.enroll("p-1")
    forged, _ = openssl_ca.make("p-1", "extendedKeyUsage=clientAuth")
    verdict = judge(broker, one, chain=[forged.read_text(), *chain_of(one.certificate)])
    assert isinstance(verdict, Refusal)
    assert verdict.auth_id == ""


def test_expired_certificate_is_refused(fleet: Fleet, broker: Broker) -> None:
    one = fleet.enroll("p-1")
    ends = x509.load_pem_x509_certificate(one.certificate.read_bytes()).not_valid_after_utc
    assert isinstance(judge(broker, one, now=ends), Refusal)


def test_server_certificate_is_refused(fleet: Fleet, broker: Broker) -> None:
    chain, _ = fleet.server_files("p-1")
    (fleet.folder / "server.pem").write_text(chain)
    assert isinstance(judge(broker, fleet.enroll("p-2"), chain=chain_of(fleet.folder / "server.pem")), Refusal)


def test_certificate_of_no_device_is_refused(fleet: Fleet, broker: Broker) -> None:
    one = fleet.enroll("p-1")
    other = pki.issue_certificate(
        issuer=fleet.ca.id,
        profile="device",
        csr=_request(fleet.folder),
        holder="device:" + str(new_id()),
        variables={"auth_id": "p-1", "domain": "north", "id": str(one.id)},
        actor=ADA,
        now=utc_now(),
    )
    assert isinstance(judge(broker, one, chain=[other.pem, other.chain_pem]), Refusal)


def test_device_of_another_domain_is_refused(fleet: Fleet, broker: Broker, tmp_path: Path) -> None:
    (tmp_path / "south").mkdir()
    south = Fleet(tmp_path / "south", slug="south")
    theirs = south.enroll("p-1")
    ours = fleet.enroll("p-1")
    assert isinstance(judge(broker, theirs), Refusal)
    assert isinstance(judge(register(south, "gw-2"), theirs), Admission)
    assert isinstance(judge(broker, ours), Admission)


Change = Callable[..., Any]


@pytest.mark.parametrize("change", [devices.suspend_device, devices.decommission_device])
def test_device_that_is_not_active_is_refused(fleet: Fleet, broker: Broker, change: Change) -> None:
    one = fleet.enroll("p-1")
    change(device=one.id, actor=ADA, now=utc_now())
    assert isinstance(judge(broker, one), Refusal)


def test_revoked_device_is_refused(fleet: Fleet, broker: Broker) -> None:
    one = fleet.enroll("p-1")
    devices.revoke_device(device=one.id, reason=ReasonCode.KEY_COMPROMISE, actor=ADA, now=utc_now())
    assert isinstance(judge(broker, one), Refusal)


def test_resumed_device_is_admitted_again(fleet: Fleet, broker: Broker) -> None:
    one = fleet.enroll("p-1")
    devices.suspend_device(device=one.id, actor=ADA, now=utc_now())
    devices.resume_device(device=one.id, actor=ADA, now=utc_now())
    assert isinstance(judge(broker, one), Admission)


def test_certificate_on_hold_is_refused_until_released(fleet: Fleet, broker: Broker) -> None:
    one = fleet.enroll("p-1")
    certificate = _certificate(one)
    pki.hold_certificate(certificate=certificate.id, actor=ADA, now=utc_now())
    assert isinstance(judge(broker, one), Refusal)
    pki.release_certificate(certificate=certificate.id, actor=ADA, now=utc_now())
    assert isinstance(judge(broker, one), Admission)


def test_quarantined_device_gets_the_quarantine_role_alone(fleet: Fleet, broker: Broker) -> None:
    one = fleet.enroll("p-1")
    role = acl.create_role(
        domain=fleet.domain.id,
        name="quarantine",
        rules=[allow(Action.SUBSCRIBE, "${domain}/${client_id}/update")],
        actor=ADA,
        now=utc_now(),
    )
    devices.set_quarantine_role(domain=fleet.domain.id, role=role.id, actor=ADA, now=utc_now())
    devices.quarantine_device(device=one.id, actor=ADA, now=utc_now())
    verdict = judge(broker, one)
    assert isinstance(verdict, Admission)
    granted = permissions(verdict.subject)
    assert (granted.publish_allow, granted.publish_deny) == ((), (">",))
    assert granted.subscribe_allow == ("north.p-1.update",)


def test_broker_that_is_gone_admits_nobody(fleet: Fleet, broker: Broker) -> None:
    one = fleet.enroll("p-1")
    services.remove_broker(broker=broker.id, actor=ADA, now=utc_now())
    assert isinstance(judge(broker, one), Refusal)


def test_policy_of_the_moment_is_granted(fleet: Fleet, broker: Broker) -> None:
    one = fleet.enroll("p-1")
    device_role = acl.create_role(
        domain=fleet.domain.id, name="extra", rules=[allow(Action.PUBLISH, "extra/x")], actor=ADA, now=utc_now()
    )
    devices.bind_role(
        domain=fleet.domain.id, role=device_role.id, target=BindingTarget(device=one.id), actor=ADA, now=utc_now()
    )
    verdict = judge(broker, one)
    assert isinstance(verdict, Admission)
    assert "extra.x" in permissions(verdict.subject).publish_allow


def test_refusals_are_sentences_without_secrets(fleet: Fleet, broker: Broker) -> None:
    one = fleet.enroll("p-1")
    verdict = judge(broker, one, username="not-a-password")
    assert isinstance(verdict, Refusal)
    assert verdict.why.endswith(".")
    assert "not-a-password" not in verdict.why


def _certificate(enrolled: Enrolled) -> Any:
    leaf = x509.load_pem_x509_certificate(enrolled.certificate.read_bytes())
    found = pki_queries.find_certificate_by_fingerprint(sha256_hex=leaf.fingerprint(hashes.SHA256()).hex())
    assert found is not None
    return found


def _request(folder: Path) -> bytes:
    return make_request(folder, "loose")[1].read_bytes()


def test_time_is_that_of_the_caller(fleet: Fleet, broker: Broker) -> None:
    one = fleet.enroll("p-1")
    begins: datetime = x509.load_pem_x509_certificate(one.certificate.read_bytes()).not_valid_before_utc
    assert isinstance(judge(broker, one, now=begins - timedelta(seconds=1)), Refusal)
