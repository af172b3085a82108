"""Renewal: whoever proves the current key gets a certificate for the next; both are good until the old one ends."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from django.db import IntegrityError, transaction

from devices.core.proof import BadProof, Proof
from devices.core.values import CredentialState, DeviceId, DeviceState
from devices.models import Credential, Device, UsedProof
from devices.queries import device_of_certificate
from devices.services.enroll_device import DeviceRefused, Enrolment, enrolment_of, issue_for
from kernel.core.actor import Actor, ActorKind
from kernel.core.ids import DomainId, new_id
from kernel.core.journal import Subject
from kernel.services import record
from pki import queries as pki


def use_proof(*, proof: Proof, now: datetime) -> None:
    """Takes the proof this once. Raises BadProof if it was shown before."""
    leaf = hashlib.sha256(proof.chain[0].public_bytes(Encoding.DER)).hexdigest()
    UsedProof.objects.filter(until__lt=now).delete()
    try:
        with transaction.atomic():
            UsedProof.objects.create(jti=f"{leaf}:{proof.jti}", until=proof.replay_until)
    except IntegrityError as error:
        raise BadProof("This proof was used before: sign a fresh one with a new jti.") from error


def renew_credential(*, chain: Sequence[x509.Certificate], csr: str, address: str, now: datetime) -> Enrolment:
    """The device with its next certificate; possession of the key of `chain[0]` was proved.

    Not to be called in a transaction. Raises CertificateRefused, DeviceRefused, and what issuing raises.
    """
    presented = pki.verify_presented(chain=chain, now=now)
    device = device_of_certificate(certificate=presented.id)
    row = Device.objects.filter(id=device).first() if device else None
    if row is None or row.state not in {DeviceState.ACTIVE, DeviceState.QUARANTINED}:
        raise DeviceRefused("This device may not renew now: ask the operator of its domain.")
    actor = Actor(kind=ActorKind.DEVICE, id=str(row.id), label=row.name, address=address)
    certificate = issue_for(row, csr, actor=actor, now=now)
    with transaction.atomic():
        locked = Device.objects.select_for_update().get(id=row.id)
        if locked.state not in {DeviceState.ACTIVE, DeviceState.QUARANTINED}:
            raise DeviceRefused("The device was thrown out while it renewed.")
        Credential.objects.filter(device=row, state=CredentialState.ACTIVE).update(state=CredentialState.RETIRING)
        Credential.objects.create(
            id=new_id(),
            device=row,
            certificate_id=certificate.id,
            state=CredentialState.ACTIVE,
            not_before=certificate.not_before,
            not_after=certificate.not_after,
        )
        record(
            action="devices.device.renewed",
            subject=Subject(kind="devices.device", id=str(row.id), label=row.name),
            actor=actor,
            now=now,
            domain=DomainId(row.domain_id),
            before={"serial": presented.serial_hex},
            after={"serial": certificate.serial_hex, "not_after": certificate.not_after.isoformat()},
        )
    return enrolment_of(DeviceId(row.id), certificate)
