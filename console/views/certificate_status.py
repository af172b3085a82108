"""The status of a certificate as a client would see it now: the page asks for it, so that it never waits itself."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

from cryptography import x509
from django.http import HttpRequest, HttpResponseBase
from django.views.decorators.http import require_safe

from console.relying_party.crl import look_up_crl
from console.relying_party.ocsp import ask_ocsp
from console.relying_party.sightings import Sighting, awaits_next_crl, disagreements
from console.views.certificate import seen_certificate
from console.views.frame import NotHere, Visit, screen, show
from kernel.core.clock import utc_now
from pki import queries


@require_safe
@screen("certificates:read")
def show_status(request: HttpRequest, visit: Visit, certificate: UUID) -> HttpResponseBase:
    """What OCSP and the CRL that the certificate names say now, each with its time, and where they differ."""
    found = seen_certificate(visit, certificate)
    if not found.pem:
        raise NotHere("This certificate was never signed, so nobody can ask about it.")
    issuer = queries.find_issuer(id=found.issuer)
    sightings = look(
        leaf=x509.load_pem_x509_certificate(found.pem.encode()),
        issuer=x509.load_der_x509_certificate(issuer.certificate_der),
    )
    now = utc_now()
    current = seen_certificate(visit, certificate)  # it may have changed while others were asked
    context = {
        "certificate": current,
        "sightings": sightings,
        "differences": disagreements(current, sightings, now=now),
        "awaits_next_crl": awaits_next_crl(current, sightings, now=now),
        "silent": [sighting for sighting in sightings if sighting.asked and sighting.fault],
        "now": now,
    }
    return show(request, "parts/certificate_status.html", context)


def look(*, leaf: x509.Certificate, issuer: x509.Certificate) -> list[Sighting]:
    """Both answers, asked for at the same time."""
    base, now = queries.public_url(), utc_now()
    with ThreadPoolExecutor(max_workers=2) as pool:
        asked = [pool.submit(ask, leaf=leaf, issuer=issuer, base_url=base, now=now) for ask in (ask_ocsp, look_up_crl)]
        return [future.result() for future in asked]
