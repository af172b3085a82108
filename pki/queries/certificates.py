"""Reading certificates and whose their keys are."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from django.db.models import QuerySet

from kernel.core.errors import NotFound
from kernel.core.ids import DomainId
from pki.core.values import CertificateId, CertificateState, IssuedCertificate, IssuerId, SerialNumber, serial_hex
from pki.models import Certificate, PublicKeyHolder
from pki.models import Issuer as IssuerRow


class UnknownCertificate(NotFound):
    """There is no such certificate."""

    code = "certificate-unknown"


APPROXIMATE_FROM = 10_000

CERTIFICATES = Certificate.objects.select_related("issuer__parent__parent")


def get_certificate(*, id: CertificateId, domains: Collection[DomainId] | None = None) -> IssuedCertificate:
    """The certificate of that id, in one of `domains` if they are given. Raises UnknownCertificate."""
    rows = CERTIFICATES.filter(id=id)
    row = rows.first() if domains is None else rows.filter(domain_id__in=domains).first()
    if row is None:
        raise UnknownCertificate("There is no such certificate: list the certificates to see those there are.")
    return row.as_value()


def find_certificate_by_fingerprint(*, sha256_hex: str) -> IssuedCertificate | None:
    """The certificate whose DER has that SHA-256, or None."""
    row = CERTIFICATES.filter(fingerprint=sha256_hex).first()
    return row.as_value() if row else None


def find_certificate_by_serial(*, issuer: IssuerId, serial: SerialNumber) -> IssuedCertificate | None:
    """The issuer's certificate with that serial number, or None."""
    row = CERTIFICATES.filter(issuer_id=issuer, serial=serial_hex(serial)).first()
    return row.as_value() if row else None


def certificates_of(*, holder: str) -> list[IssuedCertificate]:
    """Every certificate of the holder, the newest first."""
    return [row.as_value() for row in CERTIFICATES.filter(holder=holder).order_by("-id")]


def certificate_states(*, holders: Collection[str]) -> dict[str, list[tuple[IssuerId, CertificateState]]]:
    """Who issued each certificate of these holders, and its state; those who have none are left out."""
    found: dict[str, list[tuple[IssuerId, CertificateState]]] = {}
    rows = Certificate.objects.filter(holder__in=holders).order_by()
    for holder, issuer, state in rows.values_list("holder", "issuer_id", "state"):
        found.setdefault(holder, []).append((IssuerId(issuer), CertificateState(state)))
    return found


def certificates_by_id(*, ids: Collection[CertificateId]) -> dict[CertificateId, IssuedCertificate]:
    """The certificates of those ids that exist."""
    return {CertificateId(row.id): row.as_value() for row in CERTIFICATES.filter(id__in=ids)}


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
    rows = _narrowed(CERTIFICATES.order_by("-id"), domains, exact, serial)
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
    return with_serial(rows, serial.lower(), domains=domains) if serial else rows


def with_serial(rows: QuerySet[Certificate], beginning: str, *, domains: Collection[DomainId]) -> QuerySet[Certificate]:
    """Those whose serial number begins so, as a span of the index that each issuer of the domains has.

    Serial numbers are lower-case hex, and `g` is behind each of them in every collation.
    """
    issuers = [*IssuerRow.objects.filter(domain_id__in=domains).values_list("id", flat=True)]
    return rows.filter(issuer_id__in=issuers, serial__gte=beginning, serial__lt=beginning + "g")
