"""The list of certificates: found by serial number, subject, fingerprint, holder or when they end."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from uuid import UUID

from django.http import HttpRequest, HttpResponseBase
from django.views.decorators.http import require_safe

from console.views.frame import Visit, screen, show
from console.views.paging import DamagedPlace, Place, place_of, to_uuid
from devices.queries import find_principal_by_name
from kernel.core.errors import Invalid
from pki import queries
from pki.core.values import CertificateState, IssuedCertificate, Issuer
from pki.queries.certificate_search import CertificateFilter, CertificatePlace, search_certificates

_FILTERS = ("q", "state", "issuer", "profile", "ends_from", "ends_before")
_HEX = re.compile(r"[0-9a-f]{2,40}")
_FINGERPRINT = re.compile(r"[0-9a-f]{64}")
_OUR_URI = re.compile(r"urn:gatehouse:[a-z0-9-]+:(device|application):([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What the filters offer."""

    states: tuple[str, ...]
    issuers: tuple[str, ...]
    profiles: tuple[str, ...]


@require_safe
@screen("certificates:read")
def list_certificates(request: HttpRequest, visit: Visit) -> HttpResponseBase:
    """The domain's certificates, narrowed as asked: the newest first, or by their end if one is asked for."""
    place = place_of(request, *_FILTERS)
    issuers = queries.list_issuers(domains=[visit.domain.id])
    fault, narrowed = "", CertificateFilter()
    try:
        narrowed = _narrowed(visit, place.filters, issuers)
    except Invalid as error:
        fault = error.detail
    found = [] if fault else _search(visit, narrowed, place)
    shown = found[: place.size]
    more = _key_of(shown[-1], narrowed) if len(found) > place.size else None
    context = {
        "certificates": shown,
        "pager": place.pager(shown=len(shown), next_key=more, noun="certificates"),
        "filters": place.filters,
        "narrowed": any(place.filters.values()),
        "fault": fault,
        "choices": Choices(
            states=tuple(CertificateState),
            issuers=tuple(issuer.slug for issuer in issuers),
            profiles=_profiles(visit),
        ),
    }
    return show(request, "certificates.html", context)


def _profiles(visit: Visit) -> tuple[str, ...]:
    return tuple(profile.name for profile in queries.list_profiles(domain=visit.domain.id))


def _search(visit: Visit, narrowed: CertificateFilter, place: Place) -> list[IssuedCertificate]:
    return search_certificates(
        domain=visit.domain.id, narrowed=narrowed, after=_after(place, narrowed), limit=place.size + 1
    )


def _key_of(certificate: IssuedCertificate, narrowed: CertificateFilter) -> list[str]:
    return [str(certificate.id), *([certificate.not_after.isoformat()] if narrowed.by_end else [])]


def _after(place: Place, narrowed: CertificateFilter) -> CertificatePlace | None:
    match place.key:
        case None:
            return None
        case [str(id)] if not narrowed.by_end:
            return CertificatePlace(not_after=None, id=to_uuid(id))
        case [str(id), str(moment)] if narrowed.by_end:
            return CertificatePlace(not_after=_to_moment(moment), id=to_uuid(id))
    raise DamagedPlace


def _to_moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError as error:
        raise DamagedPlace from error


def _narrowed(visit: Visit, asked: Mapping[str, str], issuers: list[Issuer]) -> CertificateFilter:
    """The filter that the address spells. Raises Invalid."""
    if asked["state"] and asked["state"] not in set(CertificateState):
        raise Invalid(f"There is no state {asked['state']!r}: choose one from the list.")
    issuer = next((issuer for issuer in issuers if issuer.slug == asked["issuer"]), None)
    if asked["issuer"] and issuer is None:
        raise Invalid(f"This domain has no issuer {asked['issuer']!r}: choose one from the list.")
    found = CertificateFilter(
        state=CertificateState(asked["state"]) if asked["state"] else None,
        issuer=issuer.id if issuer else None,
        profile=asked["profile"],
        ends_from=_day(asked["ends_from"]),
        ends_before=_day(asked["ends_before"]),
    )
    return _by_text(visit, found, asked["q"]) if asked["q"] else found


def _day(text: str) -> datetime | None:
    """Midnight (UTC) at the beginning of that day. Raises Invalid."""
    if not text:
        return None
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError as error:
        raise Invalid(f"{text[:40]!r} is no day: write it as 2027-03-01.") from error


def _by_text(visit: Visit, found: CertificateFilter, text: str) -> CertificateFilter:
    """Narrowed by what was typed or pasted: a fingerprint, our URI, a device's name, a serial number, or a subject."""
    plain = text.replace(":", "").replace(" ", "").lower()
    if _FINGERPRINT.fullmatch(plain):
        return replace(found, fingerprint=plain)
    if ours := _OUR_URI.fullmatch(text.removeprefix("URI:").strip().lower()):
        return replace(found, holder=f"{ours[1]}:{UUID(ours[2])}")
    if principal := find_principal_by_name(domain=visit.domain.id, name=text):
        return replace(found, holder=principal.holder)
    if _HEX.fullmatch(plain.removeprefix("0x")):
        return replace(found, serial=plain.removeprefix("0x"))
    return replace(found, subject=text if "=" in text else f"CN={text}")
