"""What an operator sets for itself: the theme, the domain it stands in, and the time zone in which it types."""

from __future__ import annotations

from zoneinfo import available_timezones

from django import forms
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_http_methods, require_POST

from console.services.operators import change_time_zone
from console.views.forms import ConsoleForm
from console.views.frame import DOMAIN_KEY, THEME_COOKIE, THEMES, NotHere, Visit, screen, show

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


def _zones() -> list[tuple[str, str]]:
    return [(name, name) for name in sorted(available_timezones())]


class TimeZoneForm(ConsoleForm):
    """The zone of the operator's clock."""

    time_zone = forms.ChoiceField(label="Time zone", choices=_zones)


@require_http_methods(["GET", "HEAD", "POST"])
@screen("devices:read")
def choose_time_zone(request: HttpRequest, visit: Visit) -> HttpResponseBase:
    """A form; sent, the moments that the operator types are in that zone from now on."""
    form = TimeZoneForm(request.POST or None, initial={"time_zone": visit.operator.time_zone})
    if request.method == "POST" and form.is_valid():
        change_time_zone(operator=visit.operator, time_zone=form.cleaned_data["time_zone"], now=visit.now)
        messages.success(request, f"You type times in {visit.operator.time_zone}.")
        return HttpResponseRedirect(reverse("time-zone"))
    return show(request, "time_zone.html", {"form": form})
