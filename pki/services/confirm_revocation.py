"""Asking the responder whether a revocation shows."""

from __future__ import annotations

from datetime import datetime

from kernel.core.errors import Unavailable
from pki.core.values import CertificateState, SerialNumber
from pki.models import Certificate
from pki.services.query_ocsp import query_ocsp


class NotRevokedYet(Unavailable):
    """The responder does not say revoked yet."""

    code = "not-revoked-yet"


def confirm_revocation(*, holder: str, now: datetime) -> str:
    """That the responder says revoked of each revoked certificate of the holder that has not ended.

    Raises NotRevokedYet, NoOcspAnswer.
    """
    revoked = Certificate.objects.filter(
        holder=holder, state__in=[CertificateState.REVOKED, CertificateState.HELD], not_after__gt=now
    )
    rows = revoked.order_by("id").values_list("issuer__slug", "serial")
    for slug, serial in rows:
        if query_ocsp(issuer=slug, serial=SerialNumber(int(serial, 16)), now=now).status != "revoked":
            raise NotRevokedYet("OCSP does not say revoked yet; it is asked again.")
    return f"OCSP says revoked for {len(rows)} certificate{'' if len(rows) == 1 else 's'}"
