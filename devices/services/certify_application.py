"""A certificate for an application, by an operator: it proves the application to brokers, as a device's does."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from devices.core.values import CredentialState, DeviceId, DeviceState, PrincipalKind
from devices.models import Credential, Device
from devices.queries import UnknownApplication
from devices.services.issue_credential import (
    DeviceRefused,
    Enrolment,
    add_credential,
    check_few,
    enrolment_of,
    issue_for,
    revoke_stray,
    signed_before,
)
from kernel.core.actor import Actor
from kernel.core.errors import Conflict
from kernel.core.ids import DomainId
from kernel.services import record
from pki import queries as pki
from pki.core.csr import inspect_csr
from pki.core.values import CertificateState, IssuedCertificate

_MAY_HAVE = frozenset({DeviceState.PRE_REGISTERED, DeviceState.ACTIVE, DeviceState.QUARANTINED})


class KeyRevoked(Conflict):
    """Whoever has the key is not to be let in with it."""

    code = "key-revoked"


def certify_application(*, application: DeviceId, csr: str, actor: Actor, now: datetime) -> Enrolment:
    """The application with a certificate for the key of the request; with its first it becomes active.

    An earlier certificate retires: it is good until it ends. The same key again gives the same certificate. Not to be
    called in a transaction. Raises UnknownApplication, DeviceRefused, TooManyCertificates, NoIssuer, MalformedCsr,
    BadCsrSignature, WeakKey, KeyRevoked, KeyInUse, and what else issuing raises.
    """
    row = Device.objects.of_kind(PrincipalKind.APPLICATION).filter(id=application).first()
    if row is None:
        raise UnknownApplication("There is no such application: list them to see those there are.")
    if row.state not in _MAY_HAVE:
        raise DeviceRefused(f"The application is {row.state}: only one that may connect gets a certificate.")
    key = inspect_csr(csr.encode()).public_key_sha256
    _check_unspoiled(row, key)
    signed = signed_before(row, key, now=now)
    if signed is None:
        check_few(row, now=now)
        signed = issue_for(row, csr, actor=actor, now=now)
    if not _settle(application, signed, actor=actor, now=now):
        raise DeviceRefused("The application was thrown out while its certificate was signed.")
    return enrolment_of(application, signed)


def _check_unspoiled(row: Device, public_key_sha256: str) -> None:
    taken_away = {CertificateState.REVOKED, CertificateState.HELD}
    held = pki.certificates_of(holder=row.holder)
    if any(each.public_key_sha256 == public_key_sha256 and each.state in taken_away for each in held):
        raise KeyRevoked("A certificate for this key was revoked, or is on hold: make a new key.")


def _settle(application: DeviceId, certificate: IssuedCertificate, *, actor: Actor, now: datetime) -> bool:
    """Whether the application has the certificate; it was revoked again if not."""
    with transaction.atomic():
        row = Device.objects.select_for_update(of=("self",)).get(id=application)
        is_known = Credential.objects.filter(certificate_id=certificate.id).exists()
        if row.state not in _MAY_HAVE:
            if not is_known:
                revoke_stray(certificate, now=now)
            return False
        if is_known:
            return True
        before = row.state
        Credential.objects.filter(device=row, state=CredentialState.ACTIVE).update(state=CredentialState.RETIRING)
        add_credential(row, certificate)
        if row.state == DeviceState.PRE_REGISTERED:
            row.state, row.enrolled_at = DeviceState.ACTIVE, now
            row.save(update_fields=["state", "enrolled_at"])
        record(
            action="devices.application.certified",
            subject=row.as_subject(),
            actor=actor,
            now=now,
            domain=DomainId(row.domain_id),
            before={"state": before},
            after={
                "state": row.state,
                "serial": certificate.serial_hex,
                "not_after": certificate.not_after.isoformat(),
            },
        )
    return True
