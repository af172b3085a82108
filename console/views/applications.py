"""Applications: those that connect to brokers, one of them, a new one and its certificate; and those of the API."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from console.queries import list_applications as list_api_applications
from console.views.device import principal_context
from console.views.devices import after_place
from console.views.forms import ConsoleForm
from console.views.frame import Visit, screen, show
from console.views.paging import place_of
from devices import queries, services
from devices.core.values import Device, DeviceId, DeviceState, PrincipalKind
from devices.queries import DeviceFilter
from kernel.core.errors import DomainError

_API_SHOWN = 50
_PLAIN = {"autocomplete": "off", "spellcheck": "false"}


class ApplicationForm(ConsoleForm):
    """What an application is called."""

    name = forms.CharField(
        max_length=64,
        strip=False,
        help_text="It is its MQTT username, its client id and the CN of its certificate, and can not be changed.",
        widget=forms.TextInput(attrs={**_PLAIN, "autocapitalize": "none"}),
    )


class CertifyForm(ConsoleForm):
    """A request for a certificate."""

    csr = forms.CharField(
        label="Certificate request (PKCS#10, PEM)",
        max_length=65_536,
        strip=False,
        help_text="Made where the key is, which never leaves it. Its names do not matter: the certificate gets ours.",
        widget=forms.Textarea(attrs={**_PLAIN, "rows": 10, "class": "form-control mono"}),
    )


@require_safe
@screen("broker-applications:read")
def list_applications(request: HttpRequest, visit: Visit) -> HttpResponseBase:
    """The applications of the domain that connect to brokers, by name; below, the domain's API credentials."""
    domain = visit.domain.id
    place = place_of(request, "name", "state")
    fault, narrowed = "", DeviceFilter(name=place.filters["name"], state=place.filters["state"])
    if narrowed.state and narrowed.state not in set(DeviceState):
        fault, narrowed = "There is no such state: choose one from the list.", DeviceFilter()
    page = queries.list_devices(
        domains=[domain],
        kind=PrincipalKind.APPLICATION,
        narrowed=narrowed,
        after=after_place(place),
        limit=place.size,
    )
    context = {
        "applications": page.devices,
        "pager": place.pager(shown=len(page.devices), next_key=page.next_key, noun="applications"),
        "filters": place.filters,
        "fault": fault,
        "narrowed": any(place.filters.values()),
        "states": [state.value for state in DeviceState if state is not DeviceState.ENROLLING],
        "may_write": visit.may("broker-applications:write"),
        "may_see_api": visit.may("applications:read"),
        "api": list_api_applications(domains=[domain], limit=_API_SHOWN) if visit.may("applications:read") else [],
    }
    return show(request, "applications.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@screen("broker-applications:write")
def new_application(request: HttpRequest, visit: Visit) -> HttpResponseBase:
    """A form; sent, the new application, which then wants a certificate."""
    form = ApplicationForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            made = services.register_application(
                domain=visit.domain.id, name=form.cleaned_data["name"], actor=visit.actor, now=visit.now
            )
        except DomainError as error:
            form.add_fault(error)
        else:
            return HttpResponseRedirect(reverse("application", args=[made.id]))
    return show(request, "application_form.html", {"form": form})


@require_safe
@screen("broker-applications:read")
def show_application(request: HttpRequest, visit: Visit, application: UUID) -> HttpResponseBase:
    """The application: who it is, what proves it, what it may do and why, where it is connected."""
    found = _seen(visit, application)
    context: dict[str, Any] = principal_context(request, visit, found)
    context["may_certify"] = found.state in {
        DeviceState.PRE_REGISTERED,
        DeviceState.ACTIVE,
        DeviceState.QUARANTINED,
    } and visit.may("broker-applications:write", found.domain)
    return show(request, "device.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@screen("broker-applications:read")
def certify(request: HttpRequest, visit: Visit, application: UUID) -> HttpResponseBase:
    """A form for the request; sent, the certificate and what to trust."""
    found = _seen(visit, application)
    visit.check_may("broker-applications:write", found.domain)
    form = CertifyForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            made = services.certify_application(
                application=found.id, csr=form.cleaned_data["csr"], actor=visit.actor, now=visit.now
            )
        except DomainError as error:
            form.add_fault(error)
        else:
            return show(request, "application_certified.html", {"application": found, "made": made})
    return show(request, "application_certify.html", {"application": found, "form": form})


def _seen(visit: Visit, application: UUID) -> Device:
    return queries.get_application(application=DeviceId(application), domains=visit.caller.domain_ids)
