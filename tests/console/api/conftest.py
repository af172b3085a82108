"""A fleet in the domain north: one object of every kind that a path of the API can name."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from datetime import date
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from acl.core.rules import RuleSpec
from acl.core.values import Action, Effect
from acl.services import create_role
from brokers.core.decide.decisions import Identity
from brokers.core.values import BrokerId
from brokers.models import Broker
from brokers.queries import CONNECTION_PURPOSE, access_file
from brokers.services import mint_decision_secret
from devices import services as devices
from devices.core.policy_changes import PolicyChangeId
from devices.core.rollouts import Gate, RolloutState, Split
from devices.models import Rollout
from devices.services.bindings import BindingTarget
from devices.services.enroll_device import Enrolment
from devices.services.policy_changes import draft_change
from kernel.conf import master_key
from kernel.core.clock import utc_now
from kernel.core.ids import DomainId, new_id
from kernel.queries import list_entries
from pki import services as pki
from pki.core.profile_documents import profile_document
from pki.core.profiles import PROFILES
from pki.queries import certificates_of
from tests.cast import ADA, NORTH
from tests.made_once import made_once


def make_csr(name: str) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return request.public_bytes(Encoding.PEM).decode()


@pytest.fixture
def fleet(domains: tuple[DomainId, DomainId]) -> Mapping[str, str]:
    """What to put for each variable part of a path."""
    return {**made_once(_fleet, "console", "api"), "day": _day()}


def _fleet() -> Mapping[str, str]:
    now = utc_now()
    who: dict[str, Any] = {"actor": ADA, "now": now}
    root = pki.create_root(domain=NORTH, slug="north-root", common_name="North root", **who)
    issuer = pki.create_issuing_ca(parent=root.id, slug="north-ca", common_name="North CA", **who)
    asked = pki.request_issuer(domain=NORTH, slug="north-plant", common_name="North plant CA", **who)
    devices.set_issuer(domain=NORTH, issuer=issuer.id, **who)
    devices.create_device_type(domain=NORTH, name="pump", schema={"site": {"type": "string"}}, **who)
    profile = devices.create_enrolment_profile(
        domain=NORTH, name="factory", device_type="pump", needs_approval=False, **who
    )
    token = devices.mint_enrolment_token(
        domain=NORTH, profile="factory", max_uses=9, expires_in_seconds=3600, allowed_networks=(), **who
    )
    enrolled = devices.enroll_device(token=token.token, csr=make_csr("pump-17"), name="pump-17", address="", now=now)
    assert isinstance(enrolled, Enrolment)
    device = enrolled.device.id
    devices.create_enrolment_profile(domain=NORTH, name="gate", device_type="pump", needs_approval=True, **who)
    gate = devices.mint_enrolment_token(
        domain=NORTH, profile="gate", max_uses=9, expires_in_seconds=3600, allowed_networks=(), **who
    )
    waiting = devices.enroll_device(token=gate.token, csr=make_csr("pump-18"), name="pump-18", address="", now=now)
    assert isinstance(waiting, devices.Pending)
    group = devices.create_group(domain=NORTH, name="hall", members=[device], **who)
    rule = RuleSpec(effect=Effect.ALLOW, actions=frozenset({Action.PUBLISH}), topic="${domain}/${client_id}/up/#")
    role = create_role(domain=NORTH, name="pumps", rules=[rule], **who)
    binding = devices.bind_role(domain=NORTH, role=role.id, target=BindingTarget(device=device), **who)
    [certificate] = certificates_of(holder=f"device:{device}")
    pki.save_profile(domain=NORTH, name="north-pumps", document=profile_document(PROFILES["application"]), **who)
    change = draft_change(domain=NORTH, title="Nothing yet", **who)
    application = devices.register_application(domain=NORTH, name="dashboards", **who)
    return {
        "device": str(device),
        "application": str(application.id),
        "policy_change": str(change.id),
        "rollout": _rollout(change.id),
        "group": str(group),
        "role": str(role.id),
        "binding": str(binding),
        "token": str(token.id),
        "profile": str(profile),
        "slug": issuer.slug,
        "certificate": str(certificate.id),
        "name": _broker(),
        "enrolment_request": str(waiting.request),
        "operation": str(list_entries(domain=NORTH, limit=1)[0].id),
        "domain": "north",
        "issuer_request": asked.slug,
        "signing_request": str(new_id()),
        "certificate_profile": "north-pumps",
        "decision_secret": _decision_secret(),
        "password": str(new_id()),
    }


def _rollout(change: PolicyChangeId) -> str:
    """One that is over, so that the policy can be written."""
    now = utc_now()
    made = Rollout.objects.create(
        id=new_id(),
        domain_id=NORTH,
        change_id=change,
        split=Split.GROUP,
        parts=[["hall"]],
        gate=Gate().as_kept(),
        state=RolloutState.ROLLED_BACK,
        records=[],
        started_at=now,
        ended_at=now,
    )
    return str(made.id)


def _day() -> str:
    """A day of which there is a file of the access log."""
    path = access_file(domain="north", day=date(2026, 1, 31))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(b"{}\n"))
    return "2026-01-31"


def _broker() -> str:
    id = new_id()
    Broker.objects.create(
        id=id,
        domain_id=NORTH,
        name="hall-7",
        kind="mosquitto-dynsec",
        connection=master_key().wrap(
            json.dumps({"host": "127.0.0.1", "port": 1, "username": "a", "password": "b"}).encode(),
            purpose=CONNECTION_PURPOSE,
            context=str(id),
        ),
        listeners=[],
        created_at=utc_now(),
    )
    return "hall-7"


def _decision_secret() -> str:
    broker = Broker.objects.get(name="hall-7").id
    made = mint_decision_secret(broker=BrokerId(broker), identity=Identity.SHOWN, actor=ADA, now=utc_now())
    return str(made.id)
