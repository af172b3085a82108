"""The first things that an issuer signs."""

from __future__ import annotations

from datetime import datetime

from pki.core.values import IssuerId, IssuerKind
from pki.models import Issuer
from pki.services.issuers.standing_orders import order_crl, order_ocsp_signer
from pki.services.ocsp_signers import ensure_ocsp_signer
from pki.services.publish_crl import publish_crl


def begin_work(issuer: Issuer, *, now: datetime) -> None:
    """Its first CRL and OCSP signer, or, of an offline issuer, the orders of both. Not to be called in a transaction.

    What fails is made up by the clock.
    """
    id = IssuerId(issuer.id)
    if issuer.kind == IssuerKind.OFFLINE:
        order_crl(issuer=id, now=now)
        order_ocsp_signer(issuer=id, now=now)
    else:
        publish_crl(issuer=id, now=now)
        ensure_ocsp_signer(issuer=id, now=now)
