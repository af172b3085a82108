"""Coming in and going out: the one-time setup link, sign-in, sign-out."""

from __future__ import annotations

from http import HTTPStatus

from django import forms
from django.conf import settings
from django.contrib.auth import authenticate, login, logout
from django.contrib.auth.backends import ModelBackend
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from console.models import Operator
from console.services.operators import (
    SetupLinkSpent,
    WeakPassword,
    note_signed_in,
    note_signed_out,
    open_setup_link,
    redeem_setup_link,
)
from console.views.forms import ConsoleForm
from console.views.frame import show
from kernel.api.address import peer_address
from kernel.api.failures import TooManyFailures, check_failures, note_failure
from kernel.core.clock import utc_now

_BACKEND = f"{ModelBackend.__module__}.{ModelBackend.__qualname__}"
_MOST_CHARACTERS = 1_024


def _password(autocomplete: str) -> forms.PasswordInput:
    return forms.PasswordInput(attrs={"autocomplete": autocomplete, "maxlength": str(_MOST_CHARACTERS)})


class SignInForm(ConsoleForm):
    """Name and password."""

    username = forms.CharField(
        label="User name",
        max_length=150,
        widget=forms.TextInput(
            attrs={"autocomplete": "username", "autocapitalize": "none", "spellcheck": "false", "autofocus": True}
        ),
    )
    password = forms.CharField(
        label="Password", strip=False, max_length=_MOST_CHARACTERS, widget=_password("current-password")
    )


class SetupForm(ConsoleForm):
    """The first password, twice."""

    password = forms.CharField(
        label="New password",
        strip=False,
        max_length=_MOST_CHARACTERS,
        widget=_password("new-password"),
        help_text="At least 12 characters; no common password, nothing like your user name.",
    )
    again = forms.CharField(
        label="The same once more", strip=False, max_length=_MOST_CHARACTERS, widget=_password("new-password")
    )

    def clean(self) -> dict[str, str]:
        """Both have to be the same."""
        values = self.cleaned_data
        if "password" in values and "again" in values and values["password"] != values["again"]:
            self.add_error("again", "This is not the same as above: type it once more.")
        return values


@sensitive_post_parameters("password")
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def sign_in(request: HttpRequest) -> HttpResponse:
    """The sign-in form; signed in, on to where the operator wanted to go."""
    wanted = request.POST.get("next") or request.GET.get("next") or ""
    address = wanted if _is_ours(request, wanted) else reverse("overview")
    if isinstance(request.user, Operator):
        return HttpResponseRedirect(address)
    form = SignInForm(request.POST or None)
    status = HTTPStatus.OK
    if request.method == "POST" and form.is_valid():
        found, status = _operator_of(request, form)
        if found is not None:
            _enter(request, found)
            return HttpResponseRedirect(address)
    return show(request, "sign_in.html", {"form": form, "next": address}, status=status)


def _operator_of(request: HttpRequest, form: SignInForm) -> tuple[Operator | None, HTTPStatus]:
    """Who signs in; None if nobody, and the form says why. One password tried with many names is counted, too."""
    source = peer_address(request)
    try:
        check_failures(door="oauth", address=source)
    except TooManyFailures as refusal:
        form.add_error(None, refusal.detail)
        return None, HTTPStatus.TOO_MANY_REQUESTS
    name, password = form.cleaned_data["username"].strip().lower(), form.cleaned_data["password"]
    found = authenticate(request, username=name, password=password)
    if isinstance(found, Operator):
        return found, HTTPStatus.OK
    note_failure(door="oauth", address=source)
    return None, _refuse(request, form)


def _refuse(request: HttpRequest, form: SignInForm) -> HTTPStatus:
    """Says why; the same words for an unknown name and a wrong password."""
    if getattr(request, "axes_locked_out", False):
        request.axes_locked_out = False  # type: ignore[attr-defined]  # else django-axes answers with a page of its own
        minutes = round(settings.AXES_COOLOFF_TIME * 60)
        form.add_error(None, f"Too many failed attempts. Wait {minutes} minutes, or ask an owner for a new setup link.")
        return HTTPStatus.TOO_MANY_REQUESTS
    form.add_error(None, "User name and password do not belong together. Try again; caps lock counts.")
    return HTTPStatus.OK


def _is_ours(request: HttpRequest, address: str) -> bool:
    return address.startswith("/") and url_has_allowed_host_and_scheme(address, {request.get_host()})


def _enter(request: HttpRequest, operator: Operator) -> None:
    login(request, operator, backend=_BACKEND)
    note_signed_in(operator=operator, address=peer_address(request), now=utc_now())


@sensitive_post_parameters("password", "again")
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def set_up(request: HttpRequest, token: str) -> HttpResponse:
    """The page behind a setup link: a password, and the operator is in. The address never leaves as a referrer."""
    now = utc_now()
    form = SetupForm(request.POST or None)
    try:
        operator = open_setup_link(token=token, now=now)
        if request.method == "POST" and form.is_valid():
            password = form.cleaned_data["password"]
            operator = redeem_setup_link(token=token, password=password, address=peer_address(request), now=now)
            _enter(request, operator)
            return HttpResponseRedirect(reverse("overview"))
        response = show(request, "set_up.html", {"form": form, "username": operator.username})
    except WeakPassword as error:
        form.add_fault(error)
        response = show(request, "set_up.html", {"form": form, "username": operator.username})
    except SetupLinkSpent as error:
        context = {"title": "This link is spent", "detail": error.detail}
        response = show(request, "error.html", context, status=HTTPStatus.NOT_FOUND)
    # strict-origin rather than no-referrer: with that one a browser sends `Origin: null`, which fails the CSRF check.
    response.headers["Referrer-Policy"] = "strict-origin"
    return response


@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    """Ends the session; on to the sign-in form."""
    if isinstance(request.user, Operator):
        note_signed_out(operator=request.user, address=peer_address(request), now=utc_now())
    logout(request)
    return HttpResponseRedirect(reverse("sign-in"))
