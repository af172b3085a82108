"""What an operator sets for the console alone: the theme, and the domain it stands in."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from console.views.frame import DOMAIN_KEY, THEME_COOKIE, THEMES, NotHere, Visit, screen

_A_YEAR = 31_536_000


@require_POST
def choose_theme(request: HttpRequest) -> HttpResponse:
    """Keeps the theme in a cookie, and goes back."""
    back = request.POST.get("next", "")
    safe = back.startswith("/") and url_has_allowed_host_and_scheme(back, None)
    response = HttpResponseRedirect(back if safe else reverse("overview"))
    theme = request.POST.get("theme", "")
    if theme in THEMES:
        secure = bool(settings.SESSION_COOKIE_SECURE)
        response.set_cookie(THEME_COOKIE, theme, max_age=_A_YEAR, samesite="Lax", secure=secure)
    return response


@require_POST
@screen("devices:read")
def change_domain(request: HttpRequest, visit: Visit) -> HttpResponseBase:
    """Stands in another domain of the operator's own, from the overview on."""
    slug = request.POST.get("domain", "")
    if slug not in {domain.slug for domain in visit.whole.domains}:
        raise NotHere("There is no such domain, or it is not yours.")
    request.session[DOMAIN_KEY] = slug
    return HttpResponseRedirect(reverse("overview"))
