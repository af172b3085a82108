"""What every screen stands in: who visits, in which domain, what may be done there; and errors as screens.

A view gets a `Visit` and hands back `show(...)`; it calls queries and services, never a model.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any, Concatenate, ParamSpec
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.cache import patch_cache_control

from console.access import operator_caller
from console.findings import count_findings
from console.models import Operator
from console.request_log import request_id_of
from console.views.navigation import NavigationGroup, navigation
from kernel.api.address import peer_address
from kernel.core import errors
from kernel.core.actor import Actor
from kernel.core.caller import Caller, DomainRef
from kernel.core.clock import utc_now
from kernel.core.errors import Denied, DomainError, NotFound
from kernel.core.findings import Severity
from kernel.core.ids import DomainId

DOMAIN_KEY = "domain"
THEME_COOKIE = "gatehouse_theme"
THEMES = ("system", "light", "dark")

P = ParamSpec("P")


class NotYours(Denied):
    """The operator's role does not reach this far."""

    code = "insufficient-scope"


class NotHere(NotFound):
    """There is no such thing, or it belongs to a domain that the operator may not see."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """An operator at a screen. `caller` reaches only the domains where the screen's scope holds."""

    operator: Operator
    whole: Caller
    caller: Caller
    domain: DomainRef
    now: datetime

    @property
    def actor(self) -> Actor:
        """Whom the journal names."""
        return self.whole.actor

    def may(self, scope: str, domain: DomainId | None = None) -> bool:
        """Whether the operator may do that in the domain; without one, in the domain where it stands."""
        return self.whole.within(scope).may_see(domain or self.domain.id)

    def check_sees(self, domain: DomainId, *, what: str) -> None:
        """Nothing, if a thing of that domain may be seen here. Raises NotHere, as if there were none."""
        if not self.caller.may_see(domain):
            raise NotHere(f"There is no such {what}, or it belongs to a domain that is not yours.")

    def check_may(self, scope: str, domain: DomainId | None = None) -> None:
        """Nothing, if the operator may do that. Raises NotYours."""
        if not self.may(scope, domain):
            raise NotYours(f"Your role does not let you do this here: ask an owner of the domain for {scope}.")


View = Callable[Concatenate[HttpRequest, P], HttpResponseBase]
ScreenView = Callable[Concatenate[HttpRequest, Visit, P], HttpResponseBase]


def screen(scope: str) -> Callable[[ScreenView[P]], View[P]]:
    """A view that needs a signed-in operator with `scope` in at least one domain; errors of the domain become pages."""

    def decorate(view: ScreenView[P]) -> View[P]:
        @functools.wraps(view)
        def shown(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            if not isinstance(request.user, Operator) or not request.user.is_active:
                return _to_sign_in(request)
            try:
                visit = _visit_of(request, request.user, scope)
                request.visit = visit  # type: ignore[attr-defined]
                response = view(request, visit, *args, **kwargs)
            except DomainError as error:
                response = show_error(request, error)
            patch_cache_control(response, private=True, no_store=True)
            return response

        shown.scope = scope  # type: ignore[attr-defined]
        return shown

    return decorate


def _visit_of(request: HttpRequest, operator: Operator, scope: str) -> Visit:
    whole = operator_caller(operator, address=peer_address(request))
    caller = whole.within(scope)
    if not whole.domains:
        raise NotYours("You are a member of no domain yet: ask an owner to add you to one.")
    chosen = request.session.get(DOMAIN_KEY)
    standing = next((domain for domain in whole.domains if domain.slug == chosen), whole.domains[0])
    visit = Visit(operator=operator, whole=whole, caller=caller, domain=standing, now=utc_now())
    request.visit = visit  # type: ignore[attr-defined]  # an error page keeps its frame
    if not caller.may_see(standing.id):
        raise NotYours(f"Your role in {standing.slug} does not let you see this: ask an owner for {scope}.")
    return visit


def _to_sign_in(request: HttpRequest) -> HttpResponse:
    path = request.get_full_path() if request.method == "GET" and not request.headers.get("HX-Request") else "/"
    address = reverse("sign-in") + ("" if path == "/" else "?" + urlencode({"next": path}))
    if request.headers.get("HX-Request"):
        return HttpResponse(status=HTTPStatus.NO_CONTENT, headers={"HX-Redirect": address})
    return HttpResponseRedirect(address)


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What the page around a screen shows."""

    operator: str
    domain: str
    domains: tuple[str, ...]
    groups: tuple[NavigationGroup, ...]
    theme: str


def frame_of(request: HttpRequest) -> Frame | None:
    """The frame, or None if nobody is signed in."""
    visit: Visit | None = getattr(request, "visit", None)
    if visit is None:
        return None
    return Frame(
        operator=str(visit.operator),
        domain=visit.domain.slug,
        domains=tuple(domain.slug for domain in visit.whole.domains),
        groups=navigation(visit.whole, domain=visit.domain.id, path=request.path, attention=_attention(visit)),
        theme=theme_of(request),
    )


def _attention(visit: Visit) -> Mapping[str, int]:
    """What waits for somebody, by the name of its screen's URL."""
    if not visit.may("findings:read"):
        return {}
    counts = count_findings(domain=visit.domain.id, now=visit.now)
    return {"findings": sum(count for severity, count in counts.items() if severity is not Severity.INFO)}


def theme_of(request: HttpRequest) -> str:
    """The theme that the operator chose: system, light or dark."""
    chosen = request.COOKIES.get(THEME_COOKIE, "")
    return chosen if chosen in THEMES else THEMES[0]


def show(
    request: HttpRequest,
    template: str,
    context: Mapping[str, Any] | None = None,
    *,
    status: HTTPStatus = HTTPStatus.OK,
) -> HttpResponse:
    """The page of `templates/console/<template>` with the frame around it."""
    visit: Visit | None = getattr(request, "visit", None)
    values = {
        "frame": frame_of(request),
        "theme": theme_of(request),
        "now": visit.now if visit else utc_now(),
        **(context or {}),
    }
    return render(request, f"console/{template}", values, status=status)


_PAGES: Sequence[tuple[type[DomainError], HTTPStatus, str]] = (
    (errors.Invalid, HTTPStatus.BAD_REQUEST, "That can not be accepted"),
    (errors.Denied, HTTPStatus.FORBIDDEN, "Not with your role"),
    (errors.NotFound, HTTPStatus.NOT_FOUND, "Nothing here"),
    (errors.Conflict, HTTPStatus.CONFLICT, "Not in this state"),
    (errors.RateLimited, HTTPStatus.TOO_MANY_REQUESTS, "Too much at once"),
    (errors.Unavailable, HTTPStatus.SERVICE_UNAVAILABLE, "Something does not answer"),
    (DomainError, HTTPStatus.BAD_REQUEST, "Not possible"),
)


def show_error(request: HttpRequest, error: DomainError) -> HttpResponse:
    """The error as a page in the frame: what is wrong, and what to do."""
    status, title = next((status, title) for kind, status, title in _PAGES if isinstance(error, kind))
    context = {"title": title, "detail": error.detail, "request_id": request_id_of(request)}
    return show(request, "error.html", context, status=status)
