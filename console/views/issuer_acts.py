"""What is done to an issuer. Each act says what will happen first; what can not be undone needs the slug typed."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from console.views.frame import Visit, screen
from console.views.issuer import seen_issuer
from kernel.core.errors import Conflict, Unavailable
from pki import services


@require_POST
@screen("issuers:read")
def publish(request: HttpRequest, visit: Visit, slug: str) -> HttpResponseBase:
    """Publishes the CRLs now, whether or not the newest would do."""
    issuer = seen_issuer(visit, slug)
    visit.check_may("issuers:sign", issuer.domain)
    try:
        crl = services.publish_crl(issuer=issuer.id, now=visit.now, force=True)
    except (Conflict, Unavailable) as error:
        messages.error(request, error.detail)
    else:
        messages.success(request, f"CRL No. {crl.number} of {issuer.slug} is published: it lists {crl.entries:,}.")
    return HttpResponseRedirect(reverse("issuer", args=[slug]))
