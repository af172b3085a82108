"""A small domain in full, made through services: issuers, roles, devices in every state, a broker, sessions."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from acl import services as acl
from acl.core.rules import RuleSpec
from acl.core.values import Action, Effect, Role, Shared
from brokers import services as brokers
from brokers.core.access.reasons import AccessAction
from brokers.core.values import AccessKind, AdapterKind, Broker, BrokerEvent, Listener
from console.core.roles import ConsoleRole
from console.models import Operator
from console.services.operators import create_operator, grant_role
from devices import queries as fleet
from devices import services as devices
from devices.core.values import DeviceId
from devices.services.bindings import BindingTarget
from kernel.core.actor import SYSTEM
from kernel.core.ids import DomainId
from pki import services as pki
from pki.core.values import Issuer, ReasonCode

PASSWORD = "correct horse battery staple 9"


@dataclass
class Scene:
    """One domain and what is in it."""

    now: datetime
    slug: str
    domain: DomainId
    root: Issuer
    ca: Issuer
    role: Role
    broker: Broker
    token: str
    strict_token: str = ""
    devices: dict[str, DeviceId] = field(default_factory=dict)

    def enroll(self, name: str, **attributes: Any) -> DeviceId:
        """A device with a certificate."""
        enrolled = devices.enroll_device(
            token=self.token,
            csr=make_csr(name),
            name=name,
            hardware_serial=f"SN-{name.upper()}",
            attributes=attributes or {"site": "north"},
            address="192.0.2.77",
            now=self.now,
        )
        self.devices[name] = enrolled.device.id  # type: ignore[union-attr]
        return self.devices[name]

    def waiting(self, name: str, **attributes: str) -> None:
        """A device that asked to come in, and waits for somebody's word; what it tells of itself."""
        if not self.strict_token:
            devices.create_enrolment_profile(
                domain=self.domain, name="strict", device_type="pump", needs_approval=True, actor=SYSTEM, now=self.now
            )
            self.strict_token = mint(self.domain, "strict", now=self.now)
        devices.enroll_device(
            token=self.strict_token,
            csr=make_csr(name),
            name=name,
            attributes=attributes,
            address="192.0.2.9",
            now=self.now,
        )

    def register(self, name: str) -> DeviceId:
        """A device without one."""
        made = devices.register_device(
            domain=self.domain, name=name, device_type="pump", attributes={"site": "north"}, actor=SYSTEM, now=self.now
        )
        self.devices[name] = made.id
        return made.id


def mint(domain: DomainId, profile: str, *, now: datetime) -> str:
    """An enrolment token for 500 devices of one network."""
    minted = devices.mint_enrolment_token(
        domain=domain,
        profile=profile,
        max_uses=500,
        expires_in_seconds=86_400,
        allowed_networks=["192.0.2.0/24"],
        actor=SYSTEM,
        now=now,
    )
    return minted.token


def make_csr(name: str) -> str:
    """A request for a fresh P-256 key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    csr = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, SHA256())
    return csr.public_bytes(Encoding.PEM).decode()


def make_operator(name: str, role: ConsoleRole, *domains: DomainId, now: datetime, password: str = "") -> Operator:
    """An operator with that role in the domains."""
    operator = create_operator(username=name, actor=SYSTEM, now=now)
    for domain in domains:
        grant_role(operator=operator, domain=domain, role=role, actor=SYSTEM, now=now)
    if password:
        operator.set_password(password)
        operator.save()
    return operator


def build_scene(*, slug: str, now: datetime) -> Scene:
    """A domain with issuers, a role bound to all, a broker that does not answer, and no device yet."""
    domain = devices.create_domain(slug=slug, name=slug.capitalize(), actor=SYSTEM, now=now).id
    root = pki.create_root(domain=domain, slug=f"{slug}-root", common_name=f"{slug} Root", actor=SYSTEM, now=now)
    ca = pki.create_issuing_ca(
        parent=root.id, slug=f"{slug}-ca", common_name=f"{slug} Issuing CA", actor=SYSTEM, now=now
    )
    devices.set_issuer(domain=domain, issuer=ca.id, actor=SYSTEM, now=now)
    role = acl.create_role(
        domain=domain,
        name="device-default",
        description="What every device may do.",
        rules=RULES,
        actor=SYSTEM,
        now=now,
    )
    renew = acl.create_role(domain=domain, name="quarantine", rules=QUARANTINE, actor=SYSTEM, now=now)
    devices.set_quarantine_role(domain=domain, role=renew.id, actor=SYSTEM, now=now)
    devices.create_device_type(
        domain=domain,
        name="pump",
        schema={"site": {"type": "string"}, "floor": {"type": "integer"}, "line": {"type": "string"}},
        actor=SYSTEM,
        now=now,
    )
    devices.create_enrolment_profile(
        domain=domain, name="default", device_type="pump", needs_approval=False, actor=SYSTEM, now=now
    )
    devices.bind_role(domain=domain, role=role.id, target=BindingTarget(domain=slug), actor=SYSTEM, now=now)
    broker = brokers.register_broker(
        domain=domain,
        name=f"{slug}-hall",
        kind=AdapterKind.MOSQUITTO_DYNSEC,
        connection={"host": "127.0.0.1", "port": 1, "username": "gatehouse", "password": "hidden-password"},
        listeners=[Listener(host="127.0.0.1", port=8883)],
        actor=SYSTEM,
        now=now,
    )
    token = mint(domain, "default", now=now)
    return Scene(now=now, slug=slug, domain=domain, root=root, ca=ca, role=role, broker=broker, token=token)


def furnish(scene: Scene, *, pumps: int) -> None:
    """Puts devices in every state into the scene, sessions, and things that were refused."""
    for number in range(1, pumps + 1):
        scene.enroll(f"pump-{number:02}", site=["north", "south", "quay"][number % 3], floor=number % 4)
    group = devices.create_group(domain=scene.domain, name="line-1", actor=SYSTEM, now=scene.now)
    for name in list(scene.devices)[:4]:
        devices.add_to_group(group=group, devices=[scene.devices[name]], actor=SYSTEM, now=scene.now)
    scene.register("spare-01")
    names = list(scene.devices)
    minute = timedelta(minutes=1)
    for index, name in enumerate(names[: pumps // 2]):
        came = BrokerEvent(
            at=scene.now - (index + 1) * 7 * minute,
            kind=AccessKind.CONNECTED,
            action=AccessAction.CONNECT,
            auth_id=name,
            client_id=name,
            address=f"192.0.2.{index + 10}",
        )
        brokers.note_events(broker=scene.broker.id, events=[came])
    refused = BrokerEvent(
        at=scene.now - 3 * minute,
        kind=AccessKind.REFUSED,
        action=AccessAction.CONNECT,
        auth_id=names[0],
        client_id="pump-99",
        address="192.0.2.66",
        detail="The client id pump-99 is not this device's.",
    )
    brokers.note_events(broker=scene.broker.id, events=[refused])
    ends = {"suspend": names[-2], "quarantine": names[-3], "revoke": names[-4]}
    devices.suspend_device(device=scene.devices[ends["suspend"]], actor=SYSTEM, now=scene.now, note="maintenance")
    devices.quarantine_device(device=scene.devices[ends["quarantine"]], actor=SYSTEM, now=scene.now, note="odd traffic")
    devices.revoke_device(
        device=scene.devices[ends["revoke"]], reason=ReasonCode.KEY_COMPROMISE, actor=SYSTEM, now=scene.now, note="lost"
    )
    assert fleet.count_by_state(domains=[scene.domain])


_OWN = "${domain}/${client_id}"
RULES = (
    RuleSpec(effect=Effect.ALLOW, actions=frozenset({Action.PUBLISH}), topic=f"{_OWN}/up/#"),
    RuleSpec(effect=Effect.ALLOW, actions=frozenset({Action.SUBSCRIBE}), topic=f"{_OWN}/down/#"),
    RuleSpec(effect=Effect.ALLOW, actions=frozenset({Action.SUBSCRIBE}), topic="${domain}/all/#", shared=Shared.NEVER),
    RuleSpec(effect=Effect.ALLOW, actions=frozenset({Action.SUBSCRIBE}), topic="${domain}/line/${attr.line}/#"),
    RuleSpec(effect=Effect.DENY, actions=frozenset({Action.PUBLISH}), topic=f"{_OWN}/up/internal/#"),
)
QUARANTINE = (RuleSpec(effect=Effect.ALLOW, actions=frozenset({Action.PUBLISH}), topic=f"{_OWN}/up/renew/#"),)
