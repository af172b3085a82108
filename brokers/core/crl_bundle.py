"""The CRLs of a domain as one PEM file for a broker, checked before any broker sees them.

An OpenSSL-based broker fails badly on a bad file: Mosquitto goes on and accepts revoked certificates, or, if the CRL
has expired, refuses every client of its issuer. So nothing unfit ever leaves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import cast

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding

from kernel.core.errors import Conflict


class UnfitCrl(Conflict):
    """A CRL must not be given to a broker."""

    code = "crl-unfit"


def bundle(crls: Mapping[bytes, bytes | None], *, now: datetime) -> tuple[str, Mapping[bytes, UnfitCrl]]:
    """PEM of the CRLs that are fit, concatenated in their order, and why others are not; by the DER of their issuers.

    Unfit is what is missing, does not parse, is not signed by its issuer, or is not in its time. It holds up no other.
    Raises UnfitCrl if there is no issuer.
    """
    if not crls:
        raise UnfitCrl("The domain has no issuer, so there is no CRL to give to the broker.")
    fit, unfit = [], {}
    for issuer, crl in crls.items():
        try:
            fit.append(_checked(issuer, crl, now=now))
        except UnfitCrl as error:
            unfit[issuer] = error
    return "".join(fit), unfit


def completed(pem: str, *, kept: str, trust: str) -> str:
    """The CRLs of `pem`, and those that the file `kept` has of other CAs that are to be trusted (PEM).

    So whoever's newest CRL is unfit keeps the one that the broker knows. Raises UnfitCrl as `parse_bundle` does.
    """
    found = parse_bundle(pem)
    try:
        known = parse_bundle(kept)
    except UnfitCrl:
        return pem
    for ca in x509.load_pem_x509_certificates(trust.encode()) if trust else ():
        if not any(_is_of(crl, ca) for crl in found):
            pem += "".join(crl.public_bytes(Encoding.PEM).decode() for crl in known if _is_of(crl, ca))
    return pem


def parse_bundle(pem: str) -> Sequence[x509.CertificateRevocationList]:
    """The CRLs of a file. Raises UnfitCrl if one does not parse, or if there is none."""
    mark = "-----END X509 CRL-----"
    blocks = [block + mark for block in pem.split(mark)[:-1]]
    try:
        found = [x509.load_pem_x509_crl(block.encode()) for block in blocks]
    except ValueError as error:
        raise UnfitCrl("The file is no concatenation of CRLs in PEM.") from error
    if not found:
        raise UnfitCrl("The file holds no CRL.")
    return found


def _checked(issuer: bytes, crl: bytes | None, *, now: datetime) -> str:
    certificate = x509.load_der_x509_certificate(issuer)
    name = certificate.subject.rfc4514_string()
    if crl is None:
        raise UnfitCrl(f"{name} has published no CRL yet: it follows when it has.")
    try:
        parsed = x509.load_der_x509_crl(crl)
    except ValueError as error:
        raise UnfitCrl(f"The newest CRL of {name} does not parse: publish a new one.") from error
    if not _is_of(parsed, certificate):
        raise UnfitCrl(f"The newest CRL of {name} is not signed by it: publish a new one.")
    if parsed.next_update_utc is None or parsed.next_update_utc <= now:
        raise UnfitCrl(f"The newest CRL of {name} has expired: publish a new one.")
    return parsed.public_bytes(Encoding.PEM).decode()


def _is_of(crl: x509.CertificateRevocationList, ca: x509.Certificate) -> bool:
    if crl.issuer != ca.subject:
        return False
    try:
        return crl.is_signature_valid(cast("CertificateIssuerPublicKeyTypes", ca.public_key()))
    except TypeError:  # a key that does not sign
        return False
