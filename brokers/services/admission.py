"""Who may enter a broker that asks at each CONNECT, and with which policy. Whatever is not plainly right is refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509

from brokers import models
from brokers.core.access.reasons import AccessReason
from brokers.core.ports import RenderSubject, Standing
from brokers.core.standing import render_subject
from brokers.core.values import BrokerId
from devices import queries as devices
from devices.core.values import DeviceId
from kernel.core.errors import DomainError
from pki import queries as pki

GRANT_LIFE = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """The device may enter until `expires_at`, with the policy of its subject.

    `accepted` are ids of deviations of the broker that somebody has accepted: no others that widen are to be granted.
    """

    device: DeviceId
    subject: RenderSubject
    expires_at: datetime
    accepted: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """It may not. `auth_id` is the device that the certificate belongs to, if it is one of ours; `why` a sentence."""

    why: str
    auth_id: str = ""
    reason: AccessReason = AccessReason.UNDECIDED


def judge_connect(
    *, broker: BrokerId, chain: Sequence[str], client_id: str, username: str, now: datetime
) -> Admission | Refusal:
    """The verdict over a CONNECT: certificate, device, client id and username have to agree.

    The client id is compared before anything is answered: whoever got in with another's would take its session over.
    An admission ends when a binding that reaches the device begins or ends, whether or not anybody tells the broker.
    """
    if not chain:
        return Refusal(why="No client certificate was shown.", reason=AccessReason.BAD_CERTIFICATE)
    row = models.Broker.objects.filter(id=broker).first()
    if row is None:
        return Refusal(why="The broker is not registered.")
    try:
        certificate = pki.verify_presented(
            chain=[x509.load_pem_x509_certificate(pem.encode()) for pem in chain], now=now
        )
    except DomainError as error:
        return Refusal(why=error.detail, reason=AccessReason.BAD_CERTIFICATE)
    except ValueError:
        return Refusal(why="The client certificate can not be read.", reason=AccessReason.BAD_CERTIFICATE)
    device = devices.device_of_certificate(certificate=certificate.id)
    if device is None or certificate.domain != row.domain_id:
        why = "The certificate belongs to no device of this broker's domain."
        return Refusal(why=why, reason=AccessReason.UNKNOWN)
    subject = render_subject(devices.subject_of(device=device, broker=broker, now=now))
    ends = [now + GRANT_LIFE, certificate.not_after, devices.next_boundary(device=device, now=now)]
    refusal = _refusal(subject, client_id, username)
    return refusal or Admission(
        device=device,
        subject=subject,
        expires_at=min(end for end in ends if end is not None),
        accepted=frozenset(row.accepted_deviations),
    )


def _refusal(subject: RenderSubject, client_id: str, username: str) -> Refusal | None:
    principal = subject.principal
    if subject.state is not Standing.ADMITTED:
        return Refusal(why="The device is not active.", auth_id=principal.auth_id, reason=AccessReason.NOT_ACTIVE)
    if client_id != principal.client_id:
        why = "The client id is not the one of the certificate's device."
        return Refusal(why=why, auth_id=principal.auth_id, reason=AccessReason.WRONG_CLIENT_ID)
    if username not in {"", principal.username}:
        why = "The username is not the one of the certificate's device."
        return Refusal(why=why, auth_id=principal.auth_id, reason=AccessReason.WRONG_USERNAME)
    return None
