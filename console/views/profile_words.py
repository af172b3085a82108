"""A profile for people: what its certificates contain, and what two versions differ in."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from console.views.times import exact, span
from pki.core.profile import NO_EXPIRY, BeyondIssuer, NameKind, NamePart, Profile, Requestable
from pki.core.profile_documents import KEY_USAGE_NAMES, profile_document, usage_name

_KINDS = {
    NameKind.URI: "URI",
    NameKind.DNS: "DNS name",
    NameKind.IP: "IP address",
    NameKind.EMAIL: "e-mail address",
    NameKind.HARDWARE_MODULE: "hardware module",
    NameKind.REGISTERED_ID: "registered id",
}
_LIMITS = {
    BeyondIssuer.CUT: "shortened to the issuer's end",
    BeyondIssuer.REFUSE: "refused",
    BeyondIssuer.ALLOW: "allowed, since it has no end",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileLine:
    """One thing that a profile says, and the section of the standard that it is about."""

    name: str
    section: str
    values: tuple[str, ...]
    code: bool = False


def lines_of(profile: Profile) -> list[ProfileLine]:
    """All that the profile says; what it leaves out is left out."""
    return [line for line in (*_names(profile), *_use(profile), *_time(profile), *_rest(profile)) if line.values]


def _line(name: str, section: str, values: Iterable[str], *, code: bool = False) -> ProfileLine:
    return ProfileLine(name=name, section=section, values=tuple(values), code=code)


def _names(profile: Profile) -> Iterator[ProfileLine]:
    subject = [f"{part.attribute.value}={part.value}" for part in profile.subject_parts]
    yield _line("Subject", "RFC 5280 4.1.2.6", subject or ["empty"], code=True)
    section = "RFC 5280 4.2.1.6"
    yield _line("Alternative names", section, map(_name, profile.alternative_names), code=True)
    yield _line("Names to be asked for", section, map(_requestable, profile.requestable))
    yield _line("Asked-for names", section, ["one at least"] if profile.needs_requested else [])
    for name, trees in (("Permitted below", profile.permitted_names), ("Excluded below", profile.excluded_names)):
        yield _line(name, "RFC 5280 4.2.1.10", [f"{_KINDS[tree.kind]} {tree.value}" for tree in trees])


def _name(part: NamePart) -> str:
    return f"{_KINDS[part.kind]} {part.value}" + (f" of type {part.hardware_type}" if part.hardware_type else "")


def _requestable(asked: Requestable) -> str:
    return f"{_KINDS[asked.kind]}: {', '.join(asked.patterns) or 'any'}"


def _use(profile: Profile) -> Iterator[ProfileLine]:
    path = "any number of CAs below" if profile.path_length is None else f"{profile.path_length} CAs below"
    yield _line("CA", "RFC 5280 4.2.1.9", [f"yes, {path}"] if profile.is_ca else ["no"])
    usages = [name for name, known in KEY_USAGE_NAMES.items() if known in profile.key_usage]
    yield _line("keyUsage", "RFC 5280 4.2.1.3", usages)
    yield _line("extKeyUsage", "RFC 5280 4.2.1.12", map(usage_name, profile.extended_key_usage))
    sizes = {"rsa": f"rsa of {profile.rsa_bits} bits or more"}
    families = (sizes.get(family, family) for family in sorted(each.value for each in profile.key_families))
    yield _line("Keys accepted", "", families)


def _time(profile: Profile) -> Iterator[ProfileLine]:
    match profile.validity:
        case timedelta() as length:
            yield _line("Valid for", "RFC 5280 4.1.2.5", [_length(length)])
        case datetime() as end:
            words = "without an end (99991231235959Z)" if end == NO_EXPIRY else f"until {exact(end)}"
            yield _line("Valid", "RFC 5280 4.1.2.5", [words])
    yield _line("Begins", "", [f"{span(profile.backdate)} before it is issued"] if profile.backdate else ["at once"])
    yield _line("Beyond the issuer's end", "", [_LIMITS[profile.issuer_limits]])


def _length(length: timedelta) -> str:
    """Exactly, so that two profiles that differ never read the same."""
    if length % timedelta(days=1):
        return f"{int(length.total_seconds())} s"
    return "1 day" if length.days == 1 else f"{length.days} days"


def _rest(profile: Profile) -> Iterator[ProfileLine]:
    yield _line(
        "Policies",
        "RFC 5280 4.2.1.4",
        [policy.oid.dotted_string + (f" ({policy.cps})" if policy.cps else "") for policy in profile.policies],
    )
    pointers = {"OCSP": profile.names_ocsp, "the issuer's certificate": profile.names_issuer, "CRL": profile.names_crl}
    yield _line("Says where to find", "RFC 5280 4.2.2.1", [name for name, holds in pointers.items() if holds])
    yield _line("OCSP signer", "RFC 6960 4.2.2.2.1", ["nobody asks about it"] if profile.ocsp_no_check else [])


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One member of a profile's document, before and after; empty where it was not there."""

    name: str
    before: tuple[str, ...]
    after: tuple[str, ...]


def differences(before: Profile, after: Profile) -> list[Difference]:
    """The members that two versions differ in, in the document's order."""
    old, new = profile_document(before), profile_document(after)
    return [
        Difference(name=name, before=_texts(old, name), after=_texts(new, name))
        for name in new
        if old.get(name) != new[name]
    ]


def _texts(document: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = document.get(name)
    match value:
        case None:
            return ("none",)
        case list():
            return tuple(map(_text, value)) or ("none",)
    return (_text(value),)


def _text(value: object) -> str:
    match value:
        case str():
            return value or "none"
        case {"attribute": str(attribute), "value": str(text)}:
            return f"{attribute}={text}"
    return json.dumps(value, ensure_ascii=False)
