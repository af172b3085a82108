"""Renewal: whoever proves the current key gets a certificate for the next; both are good until the old one ends."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from cryptography import x509
from django.db import transaction

from devices.core.proof import Proof
from devices.core.values import CredentialState, DeviceId, DeviceState
from devices.models import Credential, Device
from devices.queries import device_of_certificate
from devices.services.issue_credential import (
    DeviceRefused,
    Enrolment,
    add_credential,
    check_few,
    enrolment_of,
    issue_for,
    revoke_stray,
)
from devices.services.use_proof import use_proof
from kernel.core.actor import Actor, ActorKind
from kernel.core.ids import DomainId
from kernel.services import record
from pki import queries as pki
from pki.core.csr import inspect_csr
from pki.core.values import CertificateId, CertificateState, IssuedCertificate

_MAY_RENEW = frozenset({DeviceState.ACTIVE, DeviceState.QUARANTINED})


def renew_credential(
    *, chain: Sequence[x509.Certificate], proof: Proof | None = None, csr: str, address: str, now: datetime
) -> Enrolment:
    """The device with its next certificate; possession of the key of `chain[0]` was proved.

    The certificate that was shown retires: it is good until it ends. Showing it again with the same new key gives the
    same certificate. A `proof` is taken once. Not to be called in a transaction.
    Raises CertificateRefused, BadProof, DeviceRefused, TooManyCertificates, and what issuing raises.
    """
    presented = pki.verify_presented(chain=chain, now=now)
    device = device_of_certificate(certificate=presented.id)
    row = Device.objects.filter(id=device).first() if device else None
    if row is None or row.state not in _MAY_RENEW:
        raise DeviceRefused("This device may not renew now: ask the operator of its domain.")
    facts = inspect_csr(csr.encode())
    if proof is not None:
        use_proof(proof, now=now)
    given = _given_before(row, presented, facts.public_key_sha256, now=now)
    if given is None:
        check_few(row, now=now)
        actor = Actor(kind=ActorKind(row.kind), id=str(row.id), label=row.name, address=address)
        certificate = issue_for(row, csr, actor=actor, now=now)
        given = _settle(row, presented, certificate, actor=actor, now=now)
    if given is None:
        raise DeviceRefused("The device was thrown out, or the certificate it showed revoked, while it renewed.")
    return enrolment_of(DeviceId(row.id), given)


def _given_before(
    device: Device, presented: IssuedCertificate, public_key_sha256: str, *, now: datetime
) -> IssuedCertificate | None:
    """What `presented`, which has retired, was renewed to with this key: the answer may have been lost."""
    shown = Credential.objects.filter(device=device, certificate_id=presented.id).first()
    if shown is None or shown.state != CredentialState.RETIRING:
        return None
    newer = Credential.objects.filter(device=device, state=CredentialState.ACTIVE, not_after__gt=now).order_by("-id")
    found = pki.certificates_by_id(ids=[CertificateId(each.certificate_id) for each in newer])
    fitting = (
        each
        for each in found.values()
        if each.public_key_sha256 == public_key_sha256 and each.state is CertificateState.ISSUED
    )
    return next(fitting, None)


def _is_good_still(presented: IssuedCertificate) -> bool:
    """Whether it was neither revoked nor held while the next was signed."""
    found = pki.certificates_by_id(ids=[presented.id])
    return found[presented.id].state is CertificateState.ISSUED


def _settle(
    device: Device, presented: IssuedCertificate, certificate: IssuedCertificate, *, actor: Actor, now: datetime
) -> IssuedCertificate | None:
    """What the device has now: what was signed, or what the same call got at the same time; None if it is out."""
    with transaction.atomic():
        locked = Device.objects.select_for_update(no_key=True).get(id=device.id)
        if locked.state not in _MAY_RENEW or not _is_good_still(presented):
            revoke_stray(certificate, now=now)
            return None
        if given := _given_before(locked, presented, certificate.public_key_sha256, now=now):
            revoke_stray(certificate, now=now)
            return given
        Credential.objects.filter(device=locked, state=CredentialState.ACTIVE).update(state=CredentialState.RETIRING)
        add_credential(locked, certificate)
        record(
            action=f"devices.{locked.kind}.renewed",
            subject=locked.as_subject(),
            actor=actor,
            now=now,
            domain=DomainId(locked.domain_id),
            before={"serial": presented.serial_hex},
            after={"serial": certificate.serial_hex, "not_after": certificate.not_after.isoformat()},
        )
    return certificate
