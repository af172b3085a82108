"""A CA without a database: key, certificate, and authority, made by the library alone."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import NameOID

from pki.core.certificates import Authority
from pki.core.keys import SigningKey, generate_key, key_identifier, signature_hash
from pki.core.values import KeyAlgorithm

NOW = dt.datetime(2027, 3, 1, 12, 0, 0, tzinfo=dt.UTC)


@dataclass(frozen=True)
class Ca:
    key: SigningKey
    certificate: x509.Certificate
    authority: Authority


def make_ca(algorithm: KeyAlgorithm = KeyAlgorithm.ECDSA_P256) -> Ca:
    key = generate_key(algorithm)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test CA")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW)
        .not_valid_after(NOW + dt.timedelta(days=400))
    )
    certificate = builder.sign(key, signature_hash(key))
    authority = Authority(
        name=name,
        key_id=key_identifier(key.public_key()),
        not_after=certificate.not_valid_after_utc,
        ocsp_url="http://pki.example/ocsp",
        certificate_url="http://pki.example/cert",
        crl_url="http://pki.example/crl",
    )
    return Ca(key, certificate, authority)


def spki_bits_sha256(certificate: x509.Certificate) -> bytes:
    """SHA-256 over the public key's BIT STRING, as the library's own OCSP hash has it."""
    from cryptography.x509 import ocsp

    request = ocsp.OCSPRequestBuilder().add_certificate(certificate, certificate, SHA256()).build()
    return request.issuer_key_hash
