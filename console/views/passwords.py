"""Passwords of a device or application: a new one (shown once), the one that follows it, and their end."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from brokers.queries import list_brokers
from console.views.device import right_over_passwords, seen_principal
from console.views.device_acts import to_operation
from console.views.forms import ConsoleForm
from console.views.frame import Visit, screen, show
from console.views.links import principal_address
from devices import queries, services
from devices.core.passwords import OVERLAP, PasswordId
from devices.core.values import CredentialState, Device
from devices.services import IssuedPassword
from kernel.core.errors import DomainError

_OVERLAPS = ((0, "It ends at once"), (1, "1 hour"), (24, "1 day"), (7 * 24, "7 days"), (30 * 24, "30 days"))


class PasswordForm(ConsoleForm):
    """For how long the present password stays good."""

    overlap = forms.TypedChoiceField(
        label="The present password stays good for",
        coerce=int,
        choices=_OVERLAPS,
        initial=OVERLAP // timedelta(hours=1),
        help_text="Brokers that ask Gatehouse take both meanwhile. Others keep one: the present password until that "
        "time is over or you switch.",
    )


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@screen("devices:read")
def new_password(request: HttpRequest, visit: Visit, device: UUID) -> HttpResponseBase:
    """A form; sent, the new password, this once."""
    found = seen_principal(visit, device)
    visit.check_may(right_over_passwords(found.kind, gives=True), found.domain)
    form = PasswordForm(request.POST or None)
    follows = any(
        each.state is CredentialState.ACTIVE for each in queries.good_passwords(device=found.id, now=visit.now)
    )
    if not follows:
        del form.fields["overlap"]
    if request.method == "POST" and form.is_valid():
        try:
            made = _make(visit, found, form, follows=follows)
        except DomainError as error:
            form.add_fault(error)
        else:
            context = {"device": found, "made": made, "follows": follows, "address": principal_address(found)}
            return show(request, "password_issued.html", context)
    context = {"device": found, "form": form, "follows": follows, "address": principal_address(found)}
    return show(request, "password_form.html", context | {"takers": _takers(visit, found)})


def _takers(visit: Visit, found: Device) -> list[str] | None:
    """The brokers where it lets somebody in; None if the operator may not see brokers."""
    if not visit.may("brokers:read", found.domain):
        return None
    return [broker.name for broker in list_brokers(domains=[found.domain]) if broker.takes_passwords]


@require_POST
@screen("devices:read")
def switch_password(request: HttpRequest, visit: Visit, device: UUID) -> HttpResponseBase:
    """Has brokers with room for one password keep the one that waits."""
    found = seen_principal(visit, device)
    visit.check_may(right_over_passwords(found.kind, gives=True), found.domain)
    try:
        return to_operation(found, services.switch_password(device=found.id, actor=visit.actor, now=visit.now))
    except DomainError as error:
        messages.error(request, error.detail)
        return HttpResponseRedirect(principal_address(found))


@require_POST
@screen("devices:read")
def revoke_password(request: HttpRequest, visit: Visit, device: UUID, password: UUID) -> HttpResponseBase:
    """Ends a password everywhere at once, and the sessions with it."""
    found = seen_principal(visit, device)
    visit.check_may(right_over_passwords(found.kind, gives=False), found.domain)
    try:
        operation = services.revoke_password(
            device=found.id, password=PasswordId(password), actor=visit.actor, now=visit.now
        )
    except DomainError as error:
        messages.error(request, error.detail)
    else:
        if operation:
            return to_operation(found, operation)
        messages.success(request, "That password had ended already.")
    return HttpResponseRedirect(principal_address(found))


def _make(visit: Visit, device: Device, form: PasswordForm, *, follows: bool) -> IssuedPassword:
    if not follows:
        return services.issue_password(device=device.id, actor=visit.actor, now=visit.now)
    overlap = timedelta(hours=form.cleaned_data["overlap"])
    return services.rotate_password(device=device.id, overlap=overlap, actor=visit.actor, now=visit.now)
