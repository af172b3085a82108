"""Asking our own CRL at the address that certificates name, as a relying party would."""

from __future__ import annotations

import http.client
from datetime import datetime
from urllib.parse import urlsplit

from django.core.cache import cache

from pki.conf import issuer_url
from pki.core.key_findings import Probe
from pki.core.values import IssuerKind, IssuerState
from pki.models import Issuer
from pki.queries.findings import PROBE_KEY, last_probe

TIMEOUT_SECONDS = 5
KEPT_SECONDS = 600
"""Longer than some probes need, so that a worker that stands still does not clear the finding at once."""


def probe_address(*, now: datetime) -> Probe | None:
    """How the CRL of one issuer answers, kept for the findings; None without an issuer. Does not follow redirects."""
    issuers = Issuer.objects.filter(kind=IssuerKind.ONLINE, state=IssuerState.ACTIVE, not_after__gt=now)
    slug = issuers.order_by("id").values_list("slug", flat=True).first()
    if slug is None:
        cache.delete(PROBE_KEY)
        return None
    url = issuer_url(slug, "crl")
    fault, before = _fault_of(url), last_probe()
    goes_on = before is not None and bool(before.fault) == bool(fault)
    probe = Probe(url=url, fault=fault, since=before.since if before and goes_on else now)
    cache.set(PROBE_KEY, probe, timeout=KEPT_SECONDS)
    return probe


def _fault_of(url: str) -> str:
    """Why the address does not give a CRL; empty if it does."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    link = kind(parts.hostname or "", parts.port, timeout=TIMEOUT_SECONDS)
    try:
        link.request("HEAD", parts.path)
        answer = link.getresponse()
    except (OSError, http.client.HTTPException) as error:
        return str(error) or type(error).__name__
    finally:
        link.close()
    if answer.status != http.HTTPStatus.OK:
        return f"the answer is {answer.status}"
    kind_of_answer = answer.headers.get_content_type()
    return "" if kind_of_answer == "application/pkix-crl" else f"the answer is {kind_of_answer}, and no CRL"
