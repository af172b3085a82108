"""One certificate: its record, everything that stands in it, its chain, what lint says, and its history."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from ssl import PEM_cert_to_DER_cert
from uuid import UUID

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import reverse
from django.views.decorators.http import require_safe

from console.views.certificate_fields import fields_of
from console.views.frame import NotHere, Visit, screen, show
from console.views.journal import EntryRow, entry_row
from console.views.links import holder_address, holder_label
from console.views.operations import find_panel
from kernel.queries import list_entries
from pki import queries
from pki.core.values import CertificateId, CertificateState, IssuedCertificate, Issuer
from pki.queries.matching import speaks_for_ca
from pki.services.lint_issued import lint_issued

_SUBJECT = "pki.certificate"
_HISTORY = 20


@require_safe
@screen("certificates:read")
def show_certificate(request: HttpRequest, visit: Visit, certificate: UUID) -> HttpResponseBase:
    """One certificate with everything that stands in it."""
    found = seen_certificate(visit, certificate)
    context = {
        "certificate": found,
        "panel": find_panel(visit, request.GET.get("operation", "")),
        "holder": holder_label(found.holder),
        "holder_address": holder_address(found.holder),
        "fields": fields_of(found.pem) if found.pem else None,
        "chain": _chain(found),
        "lint": lint_issued(certificate=found.id),
        "history": _history(visit, found),
        "journal": f"{reverse('journal')}?kind={_SUBJECT}&subject={found.id}",
        "ended": found.not_after <= visit.now,
        "over": found.state in {CertificateState.REVOKED, CertificateState.HELD},
        "may_revoke": all(visit.may(scope, found.domain) for scope in scopes_to_revoke(found)),
    }
    return show(request, "certificate.html", context)


def seen_certificate(visit: Visit, certificate: UUID) -> IssuedCertificate:
    """The certificate, in a domain of the visit. Raises UnknownCertificate."""
    return queries.get_certificate(id=CertificateId(certificate), domains=visit.caller.domain_ids)


def scopes_to_revoke(found: IssuedCertificate) -> tuple[str, ...]:
    """What revoking, holding or releasing it needs: with a CA's or an OCSP signer's goes all that it signed."""
    return ("certificates:revoke", "issuers:sign") if speaks_for_ca(found.holder) else ("certificates:revoke",)


def _chain(found: IssuedCertificate) -> list[Issuer]:
    known = queries.list_issuers(domains=[found.domain])
    signer = next(each for each in known if each.id == found.issuer)
    return [*chain_above(signer, known), signer]


def chain_above(issuer: Issuer, known: Sequence[Issuer]) -> list[Issuer]:
    """The issuers above one, the root first, as far as they are among the known."""
    left, found, at = {each.id: each for each in known}, deque[Issuer](), issuer.parent
    while at is not None and at in left:
        found.appendleft(left.pop(at))
        at = found[0].parent
    return list(found)


def _history(visit: Visit, found: IssuedCertificate) -> list[EntryRow]:
    if not visit.may("journal:read", found.domain):
        return []
    entries = list_entries(domain=found.domain, subject_kind=_SUBJECT, subject_id=str(found.id), limit=_HISTORY)
    return [entry_row(entry) for entry in entries]


_KINDS = {
    "pem": "application/x-pem-file",
    "chain": "application/x-pem-file",
    "der": "application/pkix-cert",
}


@require_safe
@screen("certificates:read")
def download_certificate(request: HttpRequest, visit: Visit, certificate: UUID, kind: str) -> HttpResponse:
    """The certificate as PEM or DER, or with its chain, as PEM."""
    del request
    found = seen_certificate(visit, certificate)
    if not found.pem:
        raise NotHere("This certificate was never signed, so there is nothing to download.")
    body = {
        "pem": found.pem.encode(),
        "chain": (found.pem + found.chain_pem).encode(),
        "der": PEM_cert_to_DER_cert(found.pem),
    }[kind]
    name = found.serial_hex + {"pem": ".pem", "chain": "-chain.pem", "der": ".cer"}[kind]
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return HttpResponse(body, content_type=_KINDS[kind], headers=headers)
