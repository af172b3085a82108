"""Giving the CRLs of a domain to a broker that reads them from a file."""

from __future__ import annotations

from datetime import datetime

from brokers import queries
from brokers.conf import adapter_for
from brokers.core.crl_bundle import bundle
from brokers.core.values import BrokerId
from pki import queries as pki


def push_crl(*, broker: BrokerId, now: datetime) -> str:
    """One sentence on how the newest CRLs of the broker's domain came into force there. Idempotent.

    Raises UnfitCrl, and then the broker keeps what it has; BrokerUnreachable.
    """
    link = queries.link_to(broker=broker)
    crls = {}
    for issuer in pki.list_issuers(domains=[link.broker.domain]):
        newest = pki.latest_crl(issuer=issuer.id)
        crls[issuer.certificate_der] = newest.der if newest else None
    sentence = adapter_for(link).publish_crl(bundle(crls, now=now))
    return sentence or "This broker takes no CRL file from Gatehouse."
