"""Fetching the CRL that a certificate names, and looking the certificate up in it (RFC 5280 6.3)."""

from __future__ import annotations

from datetime import datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from console.relying_party.fetching import NotFetchedError, fetch
from console.relying_party.in_time import check_times
from console.relying_party.sightings import Listed, Sighting, Sort


def look_up_crl(*, leaf: x509.Certificate, issuer: x509.Certificate, base_url: str, now: datetime) -> Sighting:
    """What the CRL at the certificate's own distribution point says of it: the full one, or its shard's."""
    url = distribution_point(leaf)
    if not url:
        return Sighting(sort=Sort.CRL, fault="The certificate names no CRL.", asked=False)
    try:
        fetched = fetch(url, base_url=base_url)
        crl = x509.load_der_x509_crl(fetched.body)
        _check(crl, url=url, issuer=issuer, now=now)
        entry = crl.get_revoked_certificate_by_serial_number(leaf.serial_number)
        number = crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    except NotFetchedError as error:
        return Sighting(sort=Sort.CRL, url=url, fault=str(error))
    except (ValueError, UnsupportedAlgorithm, x509.ExtensionNotFound) as error:
        return Sighting(sort=Sort.CRL, url=url, fault=f"The CRL can not be read: {error}.")
    return Sighting(
        sort=Sort.CRL,
        url=url,
        listed=Listed.REVOKED if entry is not None else Listed.GOOD,
        reason=_reason(entry) if entry is not None else "",
        revoked_at=entry.revocation_date_utc if entry is not None else None,
        this_update=crl.last_update_utc,
        next_update=crl.next_update_utc,
        number=number,
        elapsed_ms=fetched.elapsed_ms,
    )


def distribution_point(leaf: x509.Certificate) -> str:
    """The first URL at which the certificate says that its CRL is; empty without one."""
    try:
        points = leaf.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        return ""
    names = (name for point in points for name in point.full_name or ())
    return next((name.value for name in names if isinstance(name, x509.UniformResourceIdentifier)), "")


def _check(crl: x509.CertificateRevocationList, *, url: str, issuer: x509.Certificate, now: datetime) -> None:
    """Raises NotFetchedError if a client would not believe the CRL."""
    if crl.issuer != issuer.subject or not crl.is_signature_valid(issuer.public_key()):  # type: ignore[arg-type]
        raise NotFetchedError("The CRL's signature does not verify with the issuer's key.")
    check_times("The CRL", this_update=crl.last_update_utc, next_update=crl.next_update_utc, now=now)
    try:
        scope = crl.extensions.get_extension_for_class(x509.IssuingDistributionPoint).value
    except x509.ExtensionNotFound:
        return
    if url not in [str(name.value) for name in scope.full_name or ()]:
        raise NotFetchedError("The CRL is that of another distribution point: a client refuses it (6.3.3).")


def _reason(entry: x509.RevokedCertificate) -> str:
    try:
        return entry.extensions.get_extension_for_class(x509.CRLReason).value.reason.value
    except x509.ExtensionNotFound:
        return ""
