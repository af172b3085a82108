"""Asking our own responder, from the request's octets to the answer as another parser reads it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.x509 import ocsp

from kernel.core.errors import Conflict, Unavailable
from pki.core.ocsp_request import build_request
from pki.core.values import SerialNumber
from pki.queries import UnknownIssuer, find_issuer
from pki.services.answer_ocsp import Responder


class NoOcspAnswer(Unavailable):
    """The responder could not answer."""

    code = "ocsp-no-answer"


class NobodyAnswers(Conflict):
    """No responder of ours answers for the issuer, now or later: it is retired, or its key is elsewhere."""

    code = "ocsp-nobody-answers"


@dataclass(frozen=True, slots=True, kw_only=True)
class OcspReport:
    """What the responder says: `status` is good, revoked or unknown; the reason as RFC 5280 spells it."""

    status: str
    revoked_at: datetime | None
    reason: str | None
    this_update: datetime
    next_update: datetime | None
    produced_at: datetime


def query_ocsp(*, issuer: str, serial: SerialNumber, now: datetime) -> OcspReport:
    """What a fresh responder says of the certificate of the issuer with that slug.

    Raises UnknownIssuer, NobodyAnswers, NoOcspAnswer.
    """
    found = find_issuer(slug=issuer)
    request = build_request(issuer=x509.load_der_x509_certificate(found.certificate_der), serial=serial)
    answer = Responder(with_editions=False).answer(issuer, request, now=now)
    if answer is None:
        raise UnknownIssuer(f"There is no issuer {issuer}.")
    response = ocsp.load_der_ocsp_response(answer.der)
    if response.response_status is ocsp.OCSPResponseStatus.UNAUTHORIZED:
        raise NobodyAnswers(f"Nobody answers for {issuer}: it is retired, or waits for its OCSP signer.")
    if response.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
        raise NoOcspAnswer(f"The responder says {response.response_status.name}: see `manage.py doctor`.")
    return OcspReport(
        status=response.certificate_status.name.lower(),
        revoked_at=response.revocation_time_utc,
        reason=response.revocation_reason.value if response.revocation_reason else None,
        this_update=response.this_update_utc,
        next_update=response.next_update_utc,
        produced_at=response.produced_at_utc,
    )
