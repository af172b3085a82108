"""The first things that an issuer signs."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime

from django.db import Error as DatabaseFault

from kernel.core.errors import DomainError
from pki.core.values import IssuerId, IssuerKind
from pki.models import Issuer
from pki.services.issuers.standing_orders import order_crl, order_ocsp_signer
from pki.services.ocsp_signers import ensure_ocsp_signer
from pki.services.publish_crl import publish_crl

log = logging.getLogger(__name__)


def begin_work(issuer: Issuer, *, now: datetime) -> None:
    """Its first CRL and OCSP signer, or, of an offline issuer, the orders of both. Not to be called in a transaction.

    The issuer is there already: what fails is logged, and made up by the clock.
    """
    here: tuple[Callable[..., object], ...] = (publish_crl, ensure_ocsp_signer)
    elsewhere: tuple[Callable[..., object], ...] = (order_crl, order_ocsp_signer)
    for begin in elsewhere if issuer.kind == IssuerKind.OFFLINE else here:
        try:
            begin(issuer=IssuerId(issuer.id), now=now)
        except (DomainError, DatabaseFault, OSError, RuntimeError):
            log.exception("%s of the new issuer %s failed: the clock tries again", begin.__name__, issuer.slug)
