"""Profiles: what the certificates of each kind contain, in every version, and the certificate that one would make."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponseBase
from django.urls import reverse
from django.views.decorators.http import require_safe

from console.views.frame import NotHere, Visit, screen, show
from console.views.profile_forms import document_text
from console.views.profile_words import differences, lines_of
from kernel.core.errors import Conflict, Invalid
from pki import queries, services
from pki.core.profile import Profile
from pki.core.profile_documents import usage_name
from pki.core.profiles import UnknownProfile
from pki.core.values import Issuer, IssuerKind, IssuerState
from pki.queries import ProfileState


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileRow:
    """A profile in the list; `purpose` and `length` are for people."""

    state: ProfileState
    purpose: str
    length: str


@require_safe
@screen("profiles:read")
def list_profiles(request: HttpRequest, visit: Visit) -> HttpResponseBase:
    """The profiles in use in the domain."""
    states = queries.list_profile_states(domains=[visit.domain.id])
    context = {"rows": list(map(_row, states)), "may_write": visit.may("profiles:write")}
    return show(request, "profiles.html", context)


def _row(state: ProfileState) -> ProfileRow:
    profile = state.profile
    usages = ", ".join(map(usage_name, profile.extended_key_usage))
    length = "no end" if "without" in _length(profile) else _length(profile)
    return ProfileRow(state=state, purpose="CA" if profile.is_ca else usages, length=length)


def _length(profile: Profile) -> str:
    line = next(line for line in lines_of(profile) if line.name in {"Valid", "Valid for"})
    return line.values[0]


def seen_profile(visit: Visit, name: str) -> ProfileState:
    """The profile in use in the domain where the operator stands. Raises UnknownProfile."""
    return queries.find_profile_state(domain=visit.domain.id, name=name)


@require_safe
@screen("profiles:read")
def show_profile(request: HttpRequest, visit: Visit, name: str) -> HttpResponseBase:
    """One profile as it is in use, its versions, and what it would make."""
    state = seen_profile(visit, name)
    context = {
        "state": state,
        "lines": lines_of(state.profile),
        "versions": queries.profile_versions(domain=visit.domain.id, name=name),
        "issuers": preview_issuers(visit),
        "document": document_text(state.profile),
        "certificates": f"{reverse('certificates')}?profile={name}",
        "journal": f"{reverse('journal')}?kind=pki.profile&subject={name}",
        "may_write": visit.may("profiles:write"),
    }
    return show(request, "profile.html", context)


def preview_issuers(visit: Visit) -> list[Issuer]:
    """Who could sign what a preview shows."""
    kinds = [IssuerKind.ONLINE, IssuerKind.OFFLINE]
    return queries.list_issuers(domains=[visit.domain.id], kinds=kinds, states=[IssuerState.ACTIVE])


@require_safe
@screen("profiles:read")
def show_version(request: HttpRequest, visit: Visit, name: str, version: int) -> HttpResponseBase:
    """One version that there was, and what it changed."""
    domain = visit.domain.id
    profile = queries.find_profile(domain=domain, name=name, version=version)
    records = queries.profile_versions(domain=domain, name=name)
    older = [record.version for record in records if record.version < version]
    before = _older(visit, name, max(older, default=0)) if version else None
    context = {
        "profile": profile,
        "record": next((record for record in records if record.version == version), None),
        "lines": lines_of(profile),
        "before": before,
        "differences": differences(before, profile) if before else [],
    }
    return show(request, "profile_version.html", context)


def _older(visit: Visit, name: str, version: int) -> Profile | None:
    try:
        return queries.find_profile(domain=visit.domain.id, name=name, version=version)
    except UnknownProfile:  # a profile of the domain's own has no version 0
        return None


@require_safe
@screen("profiles:read")
def show_preview(request: HttpRequest, visit: Visit, name: str) -> HttpResponseBase:
    """The certificate that the profile would make, by the issuer `issuer`: the page asks for it."""
    context = preview_context(visit, seen_profile(visit, name).profile, request.GET.get("issuer", ""))
    return show(request, "parts/profile_preview.html", context)


def preview_context(visit: Visit, profile: Profile, issuer: str) -> dict[str, Any]:
    """What the preview's part shows: the certificate, or why there can not be one."""
    signer = next((each for each in preview_issuers(visit) if each.slug == issuer), None)
    if issuer and signer is None:
        raise NotHere("There is no such issuer, or it is not active.")
    try:
        preview = services.preview_certificate(issuer=signer.id if signer else None, profile=profile, now=visit.now)
    except (Invalid, Conflict) as error:
        return {"fault": error.detail}
    return {"preview": preview, "signer": signer}
