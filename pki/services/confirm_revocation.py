"""Asking the responder whether a revocation shows."""

from __future__ import annotations

from datetime import datetime

from kernel.core.errors import Unavailable
from pki.core.values import CertificateState, SerialNumber
from pki.models import Certificate
from pki.services.query_ocsp import NobodyAnswers, query_ocsp


class NotRevokedYet(Unavailable):
    """The responder does not say revoked yet."""

    code = "not-revoked-yet"


def confirm_revocation(*, holder: str, now: datetime) -> str:
    """That the responder says revoked of each revoked certificate of the holder that has not ended.

    Where an issuer has no responder, since it is retired or offline, that is said, and not waited for.
    Raises NotRevokedYet, NoOcspAnswer.
    """
    revoked = Certificate.objects.filter(
        holder=holder, state__in=[CertificateState.REVOKED, CertificateState.HELD], not_after__gt=now
    )
    rows = revoked.order_by("id").values_list("issuer__slug", "serial")
    shown, silent = 0, set[str]()
    for slug, serial in rows:
        try:
            report = query_ocsp(issuer=slug, serial=SerialNumber(int(serial, 16)), now=now)
        except NobodyAnswers:
            silent.add(slug)
            continue
        if report.status != "revoked":
            raise NotRevokedYet("OCSP does not say revoked yet; it is asked again.")
        shown += 1
    said = f"OCSP says revoked for {shown} certificate{'' if shown == 1 else 's'}"
    return f"{said}; nobody answers for {', '.join(sorted(silent))}" if silent else said
