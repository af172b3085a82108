"""A broker's own TLS certificate, from the issuing CA of its domain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from brokers.core.values import BrokerId
from devices import queries as devices
from kernel.core.actor import Actor
from kernel.core.errors import Conflict
from kernel.core.ids import DomainId
from pki import services as pki


class NoIssuer(Conflict):
    """The domain has no CA."""

    code = "domain-without-issuer"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerCertificate:
    """Certificate and chain, and the key that was made for it, as PEM."""

    chain_pem: str
    key_pem: str = field(repr=False)


def issue_server_certificate(
    *,
    broker: BrokerId,
    domain: DomainId,
    dns_names: Sequence[str],
    ip_addresses: Sequence[str],
    actor: Actor,
    now: datetime,
) -> ServerCertificate:
    """A fresh P-256 key and its certificate of the profile `broker-server`. Raises NoIssuer and what issuing does."""
    issuer = devices.issuer_of(domain=domain)
    if issuer is None:
        raise NoIssuer("The broker's domain has no issuing CA: set one first.")
    name = [*dns_names, *ip_addresses][0]
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])
    csr = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    issued = pki.issue_certificate(
        issuer=issuer,
        profile="broker-server",
        csr=csr.public_bytes(Encoding.PEM),
        holder=f"broker:{broker}",
        variables={"common_name": name[:64]},
        dns_names=dns_names,
        ip_addresses=ip_addresses,
        actor=actor,
        now=now,
    )
    plain = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return ServerCertificate(chain_pem=issued.pem + issued.chain_pem, key_pem=plain.decode())


def is_due(chain_pem: bytes, *, now: datetime) -> bool:
    """Whether a third or less of the certificate's life is left."""
    present = x509.load_pem_x509_certificate(chain_pem)
    life = present.not_valid_after_utc - present.not_valid_before_utc
    return present.not_valid_after_utc - now <= life / 3
