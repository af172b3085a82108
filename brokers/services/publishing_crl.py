"""Giving the CRLs of a domain, and the CAs to trust, to a broker that reads them from files."""

from __future__ import annotations

from datetime import datetime

from brokers import queries
from brokers.conf import adapter_for
from brokers.core.crl_bundle import UnfitCrl, bundle
from brokers.core.values import BrokerId
from pki import queries as pki
from pki.core.values import IssuerKind


def push_crl(*, broker: BrokerId, now: datetime) -> str:
    """One sentence on how the newest CRLs of the broker's domain came into force there. Idempotent.

    Raises UnfitCrl when the others are in force, and of that issuer the broker keeps what it has; BrokerUnreachable.
    """
    link = queries.link_to(broker=broker)
    trusted = pki.trusted_issuers(domain=link.broker.domain)
    crls = {}
    for issuer in trusted:
        newest = pki.latest_crl(issuer=issuer.id)
        # A broker needs the CRLs of who signs for devices. That of a root that signs elsewhere may wait for its key.
        if issuer.kind is IssuerKind.ONLINE or (newest and newest.next_update > now):
            crls[issuer.certificate_der] = newest.der if newest else None
    fit, unfit = bundle(crls, now=now)
    trust = "".join(issuer.certificate_pem for issuer in trusted)
    sentence = adapter_for(link).publish_crl(fit, trust=trust) if fit else ""
    if unfit:
        raise UnfitCrl(" ".join(error.detail for error in unfit.values()))
    return sentence or "This broker takes no CRL file from Gatehouse."
