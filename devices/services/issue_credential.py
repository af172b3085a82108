"""What enrolment and renewal share: a certificate for a device, and its place among the device's credentials."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime

from cryptography import x509

from devices.core.values import CredentialState, DeviceId
from devices.core.values import Device as DeviceValue
from devices.models import Credential, Device, Domain
from kernel.core.actor import Actor, ActorKind
from kernel.core.errors import Conflict, Denied
from kernel.core.ids import new_id
from pki import queries as pki
from pki import services as pki_services
from pki.core.certificate_names import names_in
from pki.core.values import CertificateState, IssuedCertificate, IssuerId, ReasonCode

MOST_GOOD = 16
_SELF = Actor(kind=ActorKind.SYSTEM, id="enrolment", label="Enrolment")


class NoIssuer(Conflict):
    """The domain has no CA."""

    code = "domain-without-issuer"


class DeviceRefused(Denied):
    """The device was enrolled, and may not be any more."""

    code = "device-state"


class TooManyCertificates(Conflict):
    """The device was given many certificates that are still good."""

    code = "too-many-certificates"


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolment:
    """A device and its certificate."""

    device: DeviceValue
    certificate: IssuedCertificate
    trust_bundle: str


def issue_for(device: Device, csr: str, *, actor: Actor, now: datetime) -> IssuedCertificate:
    """A certificate of the profile `device` or `application` from the domain's issuer.

    Raises NoIssuer and what pki raises.
    """
    domain = Domain.objects.get(id=device.domain_id)
    if domain.issuer_id is None:
        raise NoIssuer(f"The domain {domain.slug} has no issuing CA: set one before devices enrol.")
    return pki_services.issue_certificate(
        issuer=IssuerId(domain.issuer_id),
        profile=device.kind,
        csr=csr.encode(),
        holder=device.holder,
        variables={"auth_id": device.auth_id, "domain": domain.slug, "id": str(device.id)},
        actor=actor,
        now=now,
    )


def add_credential(device: Device, certificate: IssuedCertificate) -> None:
    """The certificate proves the device from now on; within the caller's transaction, which has locked the device."""
    names = names_in(x509.load_pem_x509_certificate(certificate.pem.encode()))
    Credential.objects.create(
        id=new_id(),
        device=device,
        certificate_id=certificate.id,
        state=CredentialState.ACTIVE,
        not_before=certificate.not_before,
        not_after=certificate.not_after,
        **asdict(names),
    )


def check_few(device: Device, *, now: datetime) -> None:
    """Raises TooManyCertificates. Each has to be revoked when the device is thrown out, which must not take long."""
    good = Credential.objects.filter(
        device=device,
        state__in=[CredentialState.ACTIVE, CredentialState.RETIRING],
        not_after__gt=now,
        certificate__state=CertificateState.ISSUED,
    )
    if good.count() >= MOST_GOOD:
        raise TooManyCertificates(
            f"It has {MOST_GOOD} certificates that are still good: use one of them, or have some revoked."
        )


def revoke_stray(certificate: IssuedCertificate, *, now: datetime) -> None:
    """Revokes what was signed and never became a credential."""
    note = "signed while the device was thrown out, or twice at once"
    pki_services.revoke_certificate(
        certificate=certificate.id, reason=ReasonCode.SUPERSEDED, actor=_SELF, now=now, note=note
    )


def signed_before(device: Device, public_key_sha256: str, *, now: datetime) -> IssuedCertificate | None:
    """A good certificate for the key, such as one that was signed before a crash and never handed out."""
    fitting = (
        each
        for each in pki.certificates_of(holder=device.holder)
        if each.public_key_sha256 == public_key_sha256
        and each.state is CertificateState.ISSUED
        and each.not_after > now
    )
    return next(fitting, None)


def revoke_strays(device: Device, *, now: datetime) -> None:
    """Revokes every certificate of a device that has none as a credential, such as one signed before a crash."""
    known = set(Credential.objects.filter(device=device).values_list("certificate_id", flat=True))
    for certificate in pki.certificates_of(holder=device.holder):
        if certificate.state is CertificateState.ISSUED and certificate.id not in known:
            revoke_stray(certificate, now=now)


def enrolment_of(device: DeviceId, certificate: IssuedCertificate) -> Enrolment:
    """Device and certificate with what the device has to trust."""
    value = Device.objects.whole().get(id=device).as_value()
    return Enrolment(device=value, certificate=certificate, trust_bundle=pki.trust_bundle(domain=value.domain))
