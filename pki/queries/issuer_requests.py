"""Reading what is asked of other CAs and of offline keys, and cross-certificates."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from cryptography import x509

from kernel.core.errors import NotFound
from kernel.core.ids import DomainId
from pki.core.issuer_values import (
    CrossCertificate,
    CrossCertificateId,
    IssuerRequest,
    IssuerRequestId,
    SigningKind,
    SigningRequest,
    SigningRequestId,
)
from pki.core.pem import encode_pem
from pki.core.values import IssuerId, KeyAlgorithm
from pki.models import CrossCertificate as CrossRow
from pki.models import IssuerRequest as RequestRow
from pki.models import SigningRequest as SigningRow
from pki.models import to_pem


class UnknownIssuerRequest(NotFound):
    """There is no such request of an issuer."""

    code = "issuer-request-unknown"


class UnknownSigningRequest(NotFound):
    """There is no such signing request."""

    code = "signing-request-unknown"


def list_issuer_requests(*, domains: Collection[DomainId] | None = None) -> list[IssuerRequest]:
    """The CAs to be of the domains (of all, if None), the oldest first."""
    rows = RequestRow.objects.select_related("key", "replaces").order_by("id")
    return [issuer_request_value(row) for row in (rows if domains is None else rows.filter(domain_id__in=domains))]


def find_issuer_request(*, slug: str, domains: Collection[DomainId] | None = None) -> IssuerRequest:
    """The CA to be of that slug. Raises UnknownIssuerRequest."""
    found = [request for request in list_issuer_requests(domains=domains) if request.slug == slug]
    if not found:
        raise UnknownIssuerRequest("There is no such request of an issuer: list them to see those there are.")
    return found[0]


def list_signing_requests(
    *, domains: Collection[DomainId] | None = None, issuer: IssuerId | None = None, open_only: bool = True
) -> list[SigningRequest]:
    """What offline issuers have yet to sign (or had, without `open_only`), the oldest first."""
    rows = SigningRow.objects.select_related("issuer").order_by("id")
    if domains is not None:
        rows = rows.filter(issuer__domain_id__in=domains)
    if issuer is not None:
        rows = rows.filter(issuer_id=issuer)
    return [signing_request_value(row) for row in (rows.filter(closed_at=None) if open_only else rows)]


def get_signing_request(*, id: SigningRequestId, domains: Collection[DomainId] | None = None) -> SigningRequest:
    """The signing request of that id. Raises UnknownSigningRequest."""
    rows = SigningRow.objects.select_related("issuer").filter(id=id)
    row = rows.first() if domains is None else rows.filter(issuer__domain_id__in=domains).first()
    if row is None:
        raise UnknownSigningRequest("There is no such signing request: list them to see those there are.")
    return signing_request_value(row)


def list_cross_certificates(*, issuer: IssuerId) -> list[CrossCertificate]:
    """The other certificates for the issuer's name and key that are not revoked, the oldest first."""
    rows = CrossRow.objects.select_related("issuer", "signer", "certificate").filter(issuer_id=issuer).order_by("id")
    return [cross_value(row) for row in rows if row.certificate is None or row.certificate.state == "issued"]


def cross_pem(*, issuer: IssuerId, now: datetime) -> str:
    """PEM of the issuer's cross-certificates that are in their time; empty without any."""
    found = list_cross_certificates(issuer=issuer)
    return "".join(each.certificate_pem for each in found if each.not_before <= now < each.not_after)


def issuer_request_value(row: RequestRow) -> IssuerRequest:
    """The row as a value; its key and what it replaces have to be loaded."""
    return IssuerRequest(
        id=IssuerRequestId(row.id),
        domain=DomainId(row.domain_id),
        slug=row.slug,
        name=row.name,
        key_algorithm=KeyAlgorithm(row.key.algorithm),
        csr_pem=encode_pem("CERTIFICATE REQUEST", bytes(row.csr)),
        replaces=row.replaces.slug if row.replaces else None,
        created_at=row.created_at,
    )


def signing_request_value(row: SigningRow) -> SigningRequest:
    """The row as a value; its issuer has to be loaded."""
    return SigningRequest(
        id=SigningRequestId(row.id),
        issuer=row.issuer.slug,
        kind=SigningKind(row.kind),
        purpose=row.purpose,
        to_be_signed=bytes(row.to_be_signed),
        created_at=row.created_at,
        closed_at=row.closed_at,
    )


def cross_value(row: CrossRow) -> CrossCertificate:
    """The row as a value; its issuer and signer have to be loaded."""
    der = bytes(row.der)
    return CrossCertificate(
        id=CrossCertificateId(row.id),
        issuer=row.issuer.slug,
        signer=row.signer.slug if row.signer else None,
        signer_name=x509.load_der_x509_certificate(der).issuer.rfc4514_string(),
        certificate_pem=to_pem(der),
        fingerprint=row.fingerprint,
        not_before=row.not_before,
        not_after=row.not_after,
    )
