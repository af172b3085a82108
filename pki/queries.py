"""Reading issuers, certificates and CRLs."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID
from django.db.models import QuerySet

from kernel.core.errors import Denied, NotFound
from kernel.core.ids import DomainId
from pki.core.pem import encode_pem
from pki.core.values import (
    CertificateId,
    CertificateState,
    CrlStatus,
    IssuedCertificate,
    Issuer,
    IssuerId,
    PublishedCrl,
    SerialNumber,
    serial_hex,
)
from pki.models import Certificate, Crl, OcspSigner, PublicKeyHolder, to_pem
from pki.models import Issuer as IssuerRow


class UnknownIssuer(NotFound):
    """There is no such issuer."""

    code = "issuer-unknown"


class UnknownCertificate(NotFound):
    """There is no such certificate."""

    code = "certificate-unknown"


class CertificateRefused(Denied):
    """A presented certificate does not prove its holder."""

    code = "certificate-refused"


APPROXIMATE_FROM = 10_000

_ISSUERS = IssuerRow.objects.select_related("key", "parent__parent")
_CERTIFICATES = Certificate.objects.select_related("issuer__parent__parent")


def find_issuer(*, slug: str = "", id: IssuerId | None = None, domains: Collection[DomainId] | None = None) -> Issuer:
    """The issuer of that slug or id, in one of `domains` if they are given. Raises UnknownIssuer."""
    rows = _ISSUERS.filter(id=id) if id else _ISSUERS.filter(slug=slug)
    row = rows.first() if domains is None else rows.filter(domain_id__in=domains).first()
    if row is None:
        raise UnknownIssuer("There is no such issuer: list the issuers to see those there are.")
    return row.as_value()


def list_issuers(*, domains: Collection[DomainId] | None = None) -> list[Issuer]:
    """Every issuer of the domains (of all, if None), those above before those below."""
    rows = _ISSUERS.order_by("id")
    return [row.as_value() for row in (rows if domains is None else rows.filter(domain_id__in=domains))]


def get_certificate(*, id: CertificateId, domains: Collection[DomainId] | None = None) -> IssuedCertificate:
    """The certificate of that id, in one of `domains` if they are given. Raises UnknownCertificate."""
    rows = _CERTIFICATES.filter(id=id)
    row = rows.first() if domains is None else rows.filter(domain_id__in=domains).first()
    if row is None:
        raise UnknownCertificate("There is no such certificate: list the certificates to see those there are.")
    return row.as_value()


def find_certificate_by_fingerprint(*, sha256_hex: str) -> IssuedCertificate | None:
    """The certificate whose DER has that SHA-256, or None."""
    row = _CERTIFICATES.filter(fingerprint=sha256_hex).first()
    return row.as_value() if row else None


def find_certificate_by_serial(*, issuer: IssuerId, serial: SerialNumber) -> IssuedCertificate | None:
    """The issuer's certificate with that serial number, or None."""
    row = _CERTIFICATES.filter(issuer_id=issuer, serial=serial_hex(serial)).first()
    return row.as_value() if row else None


def certificates_of(*, holder: str) -> list[IssuedCertificate]:
    """Every certificate of the holder, the newest first."""
    return [row.as_value() for row in _CERTIFICATES.filter(holder=holder).order_by("-id")]


def certificates_by_id(*, ids: Collection[CertificateId]) -> dict[CertificateId, IssuedCertificate]:
    """The certificates of those ids that exist."""
    return {CertificateId(row.id): row.as_value() for row in _CERTIFICATES.filter(id__in=ids)}


def holder_of_key(*, public_key_sha256: str) -> str | None:
    """Whom the public key belongs to, or None."""
    rows = PublicKeyHolder.objects.filter(public_key_sha256=public_key_sha256)
    return rows.values_list("holder", flat=True).first()


def list_certificates(
    *,
    domains: Collection[DomainId],
    holder: str = "",
    issuer: str = "",
    state: str = "",
    serial: str = "",
    profile: str = "",
    before: UUID | None = None,
    limit: int = 50,
) -> list[IssuedCertificate]:
    """The newest first, at most `limit`, older than the id `before`; `issuer` is a slug, `serial` a prefix."""
    exact = {"holder": holder, "issuer__slug": issuer, "state": state, "profile": profile}
    rows = _narrowed(_CERTIFICATES.order_by("-id"), domains, exact, serial)
    if before is not None:
        rows = rows.filter(id__lt=before)
    return [row.as_value() for row in rows[:limit]]


def count_certificates(
    *,
    domains: Collection[DomainId],
    holder: str = "",
    issuer: str = "",
    state: str = "",
    serial: str = "",
    profile: str = "",
) -> int:
    """How many there are; counted up to 10,000 and no further, so that a million cost no more."""
    exact = {"holder": holder, "issuer__slug": issuer, "state": state, "profile": profile}
    return int(_narrowed(Certificate.objects.order_by(), domains, exact, serial)[:APPROXIMATE_FROM].count())


def _narrowed(
    rows: QuerySet[Certificate], domains: Collection[DomainId], exact: dict[str, str], serial: str
) -> QuerySet[Certificate]:
    rows = rows.filter(domain_id__in=domains, **{name: value for name, value in exact.items() if value})
    return rows.filter(serial__startswith=serial.lower()) if serial else rows


def trust_bundle(*, domain: DomainId) -> str:
    """PEM of the domain's roots and of the CAs below them: what a device or broker trusts."""
    rows = IssuerRow.objects.filter(domain_id=domain).order_by("id")
    return "".join(to_pem(bytes(row.der)) for row in rows)


def latest_crl(*, issuer: IssuerId) -> PublishedCrl | None:
    """The issuer's newest CRL."""
    row = Crl.objects.filter(issuer_id=issuer).order_by("-number").first()
    return row.as_value() if row else None


def newest_crl_number(*, slug: str) -> int | None:
    """The number of the newest CRL of the issuer `slug`; None without one."""
    return Crl.objects.filter(issuer__slug=slug).order_by("-number").values_list("number", flat=True).first()


def crl_status(*, issuer: IssuerId) -> CrlStatus | None:
    """The issuer's newest CRL without its octets."""
    return crl_statuses(issuers=[issuer]).get(issuer)


def crl_statuses(*, issuers: Collection[IssuerId]) -> dict[IssuerId, CrlStatus]:
    """The same of several issuers; those without a CRL are left out."""
    rows = Crl.objects.filter(issuer_id__in=issuers).defer("der").select_related("issuer").order_by("number")
    return {
        IssuerId(row.issuer_id): CrlStatus(
            number=row.number,
            this_update=row.this_update,
            next_update=row.next_update,
            entries=row.entries,
            is_due=row.revision < row.issuer.revision,
        )
        for row in rows  # the newest last
    }


def crl_bundle(*, domain: DomainId) -> str:
    """PEM of the newest CRL of each of the domain's issuers: what an OpenSSL-based broker reads."""
    found = [latest_crl(issuer=issuer.id) for issuer in list_issuers(domains=[domain])]
    return "".join(encode_pem("X509 CRL", crl.der) for crl in found if crl)


def crl_is_due(*, issuer: IssuerId) -> bool:
    """Whether there are revocations that the newest CRL lacks."""
    status = crl_status(issuer=issuer)
    return status is None or status.is_due


def ocsp_signer_ends_at(*, issuer: IssuerId) -> datetime | None:
    """When the newest OCSP signer's certificate ends."""
    signer = OcspSigner.objects.filter(issuer_id=issuer).select_related("certificate").order_by("-pk").first()
    return signer.certificate.not_after if signer else None


def verify_presented(*, chain: Sequence[x509.Certificate], now: datetime) -> IssuedCertificate:
    """Our record of the leaf `chain[0]`, if it proves its holder now.

    It is one of ours octet by octet, for client authentication, in its time, and neither it nor an issuer above it is
    revoked. Raises CertificateRefused with the code certificate-unknown, -expired, -revoked or -usage.
    """
    fingerprint = hashlib.sha256(chain[0].public_bytes(Encoding.DER)).hexdigest() if chain else ""
    row = _CERTIFICATES.filter(fingerprint=fingerprint).first()
    if row is None:
        raise CertificateRefused("The certificate was not issued here: enrol first.", code="certificate-unknown")
    if row.state != CertificateState.ISSUED or _is_issuer_revoked(row.issuer):
        raise CertificateRefused("The certificate is revoked or on hold: enrol again.", code="certificate-revoked")
    if not row.not_before <= now < row.not_after or row.issuer.not_after <= now:
        raise CertificateRefused(
            "The certificate is not in its time: renew before it ends.", code="certificate-expired"
        )
    if not _authenticates_clients(chain[0]):
        raise CertificateRefused("The certificate is not for client authentication.", code="certificate-usage")
    return row.as_value()


def _is_issuer_revoked(issuer: IssuerRow) -> bool:
    """Whether the issuer's certificate, or one above it, is revoked or on hold; a root's is not ours to revoke."""
    if issuer.parent is None:
        return False
    own = Certificate.objects.filter(issuer=issuer.parent, serial=issuer.serial)
    return own.exclude(state=CertificateState.ISSUED).exists() or _is_issuer_revoked(issuer.parent)


def _authenticates_clients(leaf: x509.Certificate) -> bool:
    try:
        usages = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        return False
    return ExtendedKeyUsageOID.CLIENT_AUTH in usages
