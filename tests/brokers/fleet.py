"""A small fleet of domain north in the database: its CA, two device types, devices with certificates."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from acl import services as acl
from acl.core.rules import RuleSpec
from acl.core.values import Action, Effect, Role
from devices import services as devices
from devices.core.values import Device, DeviceId, Domain
from devices.services import Enrolment
from devices.services.bindings import BindingTarget
from kernel.core.clock import utc_now
from pki import queries as pki_queries
from pki import services as pki
from pki.core.values import Issuer
from tests.cast import ADA
from tests.made_once import made_once


def allow(action: Action, topic: str) -> RuleSpec:
    """A rule without conditions."""
    return RuleSpec(effect=Effect.ALLOW, actions=frozenset({action}), topic=topic)


def deny(action: Action, topic: str) -> RuleSpec:
    """Its opposite."""
    return RuleSpec(effect=Effect.DENY, actions=frozenset({action}), topic=topic)


PUMP_RULES = (
    allow(Action.PUBLISH, "${domain}/${client_id}/up/#"),
    allow(Action.SUBSCRIBE, "${domain}/${client_id}/down/#"),
    allow(Action.SUBSCRIBE, "${domain}/all/#"),
)


@dataclass
class Enrolled:
    """A device with its certificate, and the files to connect with."""

    device: Device
    certificate: Path
    key: Path

    @property
    def id(self) -> DeviceId:
        return self.device.id


class Fleet:
    """Domain `slug` with role `pump` for all its devices."""

    def __init__(self, folder: Path, *, slug: str = "north") -> None:
        self.folder, self.slug = folder, slug
        self.domain, self.root, self.ca, self.role = made_once(self._begin, "brokers", slug)

    def _begin(self) -> tuple[Domain, Issuer, Issuer, Role]:
        slug = self.slug
        who: dict[str, Any] = {"actor": ADA, "now": utc_now()}
        domain = devices.create_domain(slug=slug, name=slug.title(), **who)
        root = pki.create_root(domain=domain.id, slug=f"{slug}-root", common_name=f"{slug} root", **who)
        ca = pki.create_issuing_ca(parent=root.id, slug=f"{slug}-ca", common_name=f"{slug} CA", **who)
        devices.set_issuer(domain=domain.id, issuer=ca.id, **who)
        devices.create_device_type(domain=domain.id, name="pump", schema={}, **who)
        devices.create_enrolment_profile(
            domain=domain.id, name="default", device_type="pump", needs_approval=False, **who
        )
        role = acl.create_role(domain=domain.id, name="pump", rules=PUMP_RULES, **who)
        devices.bind_role(domain=domain.id, role=role.id, target=BindingTarget(device_type="pump"), **who)
        return domain, root, ca, role

    @property
    def trust(self) -> str:
        return pki_queries.trust_bundle(domain=self.domain.id)

    def enroll(self, name: str) -> Enrolled:
        """A device of that name, active, with a key that openssl made."""
        key, csr = make_request(self.folder, name)
        token = devices.mint_enrolment_token(
            domain=self.domain.id,
            profile="default",
            max_uses=1,
            expires_in_seconds=600,
            allowed_networks=["127.0.0.0/8"],
            actor=ADA,
            now=utc_now(),
        )
        made = devices.enroll_device(
            token=token.token, csr=csr.read_text(), name=name, address="127.0.0.1", now=utc_now()
        )
        assert isinstance(made, Enrolment)
        certificate = self.folder / f"{name}.pem"
        certificate.write_text(made.certificate.pem + made.certificate.chain_pem)
        return Enrolled(device=made.device, certificate=certificate, key=key)

    def change_role(self, *rules: RuleSpec, now: datetime | None = None) -> None:
        """The role `pump` has these rules from now on."""
        acl.change_role(role=self.role.id, rules=rules, actor=ADA, now=now or utc_now())

    def server_files(self, name: str) -> tuple[str, str]:
        """Certificate chain and key, both PEM, of a broker at 127.0.0.1."""
        key, csr = make_request(self.folder, name)
        made = pki.issue_certificate(
            issuer=self.ca.id,
            profile="broker-server",
            csr=csr.read_bytes(),
            holder=f"broker:{name}",
            variables={"common_name": name},
            dns_names=["localhost"],
            ip_addresses=["127.0.0.1"],
            actor=ADA,
            now=utc_now(),
        )
        return made.pem + made.chain_pem, key.read_text()


def make_request(folder: Path, name: str) -> tuple[Path, Path]:
    """Paths of a key and of its CSR with that CN, made by openssl."""
    key, csr = folder / f"{name}.key", folder / f"{name}.csr"
    kind = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    subprocess.run(
        ["openssl", "req", "-new", *kind, "-keyout", str(key), "-subj", f"/CN={name}", "-out", str(csr)],
        check=True,
        capture_output=True,
        timeout=120,
    )
    return key, csr
