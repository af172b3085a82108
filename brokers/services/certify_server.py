"""A broker's own certificate for a key that was made beside it, and what there is of such certificates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509

from brokers import queries
from brokers.core.listeners.server_names import check_asked, covers, names_of
from brokers.core.values import Broker, BrokerId
from brokers.services.server_certificates import NoIssuer
from brokers.services.trust_bundles import link_pem
from devices import queries as devices
from kernel.core.actor import Actor
from pki import queries as pki
from pki import services as pki_services
from pki.core.csr import inspect_csr
from pki.core.values import CertificateState, IssuedCertificate

PROFILE = "broker-server"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerChain:
    """A broker's certificate and, in `chain_pem`, what it has to show: itself, the CAs above it, and link certificates.

    With those a device that trusts only the root of before a rollover accepts it too. `missing` are the hosts of
    listeners that it is not good for.
    """

    certificate: IssuedCertificate
    chain_pem: str
    missing: tuple[str, ...]


def certify_server(*, broker: BrokerId, csr: bytes, actor: Actor, now: datetime) -> ServerChain:
    """A certificate for the key of `csr` (PEM or DER) and the names of all listeners of the broker.

    Whatever it has already stays good. Not to be called in a transaction. Raises BrokerNotFound, NoIssuer, NoListeners,
    NotItsName and what `issue_certificate` does.
    """
    found = queries.get_broker(id=broker)
    issuer = devices.issuer_of(domain=found.domain)
    if issuer is None:
        raise NoIssuer("The broker's domain has no issuing CA: set one first.")
    names = names_of(found.listeners)
    check_asked(inspect_csr(csr).asked, names)
    issued = pki_services.issue_certificate(
        issuer=issuer,
        profile=PROFILE,
        csr=csr,
        holder=holder_of(broker),
        variables={"common_name": names.first[:64]},
        dns_names=names.dns,
        ip_addresses=names.ip,
        actor=actor,
        now=now,
    )
    return _chain(issued, found, now=now)


def server_chain_of(*, broker: Broker, now: datetime) -> ServerChain | None:
    """The newest certificate of the broker that is not revoked, in its time or not; None if we issued none."""
    for issued in pki.certificates_of(holder=holder_of(broker.id)):
        if issued.state is CertificateState.ISSUED:
            return _chain(issued, broker, now=now)
    return None


def holder_of(broker: BrokerId) -> str:
    """What the broker is called as the holder of certificates."""
    return f"broker:{broker}"


def _chain(issued: IssuedCertificate, broker: Broker, *, now: datetime) -> ServerChain:
    return ServerChain(
        certificate=issued,
        chain_pem=issued.pem + issued.chain_pem + link_pem(issuer=issued.issuer, domain=broker.domain, now=now),
        missing=missing_names(issued.pem, [listener.host for listener in broker.listeners]),
    )


def missing_names(pem: str, hosts: Sequence[str]) -> tuple[str, ...]:
    """Those of the hosts that the certificate is not good for, each once."""
    certificate = x509.load_pem_x509_certificate(pem.encode())
    return tuple(dict.fromkeys(host for host in hosts if not covers(certificate, host)))
