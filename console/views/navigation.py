"""The navigation, by what people do. It lists only screens that exist and that the operator may see."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from django.urls import reverse

from kernel.core.caller import Caller
from kernel.core.ids import DomainId


@dataclass(frozen=True, slots=True, kw_only=True)
class NavigationLink:
    """One link. `here`: the page shown is this screen or one below it. `attention`: how much is to be done there."""

    label: str
    icon: str
    address: str
    here: bool
    attention: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class NavigationGroup:
    """Links that belong together; the first group has no label."""

    label: str
    links: tuple[NavigationLink, ...]


# group -> (label, icon, name of the URL, scope)
_SCREENS: tuple[tuple[str, tuple[tuple[str, str, str, str], ...]], ...] = (
    ("", (("Overview", "overview", "overview", "devices:read"),)),
    (
        "Fleet",
        (
            ("Devices", "device", "devices", "devices:read"),
            ("Groups", "filter", "groups", "groups:read"),
            ("Applications", "application", "applications", "broker-applications:read"),
            ("Enrolment", "enrolment", "enrolment", "enrolment-tokens:read"),
        ),
    ),
    (
        "Trust",
        (
            ("Issuers", "issuer", "issuers", "issuers:read"),
            ("Certificates", "certificate", "certificates", "certificates:read"),
            ("Profiles", "key", "profiles", "profiles:read"),
            ("Revocation", "revoke", "revocation", "certificates:read"),
            ("Token keys", "key", "token-keys", "issuers:read"),
        ),
    ),
    (
        "Access",
        (
            ("Roles", "role", "roles", "roles:read"),
            ("Explorer", "question", "explorer", "policy:read"),
            ("Changes", "check", "changes", "policy:read"),
            ("Suggestions", "suggestion", "suggestions", "policy:read"),
        ),
    ),
    (
        "Brokers",
        (
            ("Brokers", "broker", "brokers", "brokers:read"),
            ("Sessions", "session", "sessions", "brokers:read"),
            ("Access log", "journal", "access-log", "access-log:read"),
        ),
    ),
    (
        "Watch",
        (
            ("Findings", "alert", "findings", "findings:read"),
            ("Journal", "journal", "journal", "journal:read"),
        ),
    ),
)


def navigation(
    caller: Caller, *, domain: DomainId, path: str, attention: Mapping[str, int]
) -> tuple[NavigationGroup, ...]:
    """The groups with the screens that the caller may see in the domain. `attention` is by the name of the URL."""
    groups = []
    for label, screens in _SCREENS:
        links = tuple(
            _link(name, icon, reverse(url), path, attention.get(url, 0))
            for name, icon, url, scope in screens
            if caller.within(scope).may_see(domain)
        )
        if links:
            groups.append(NavigationGroup(label=label, links=links))
    return tuple(groups)


def _link(label: str, icon: str, address: str, path: str, attention: int) -> NavigationLink:
    here = path == address if address == "/" else path.startswith(address)
    return NavigationLink(label=label, icon=icon, address=address, here=here, attention=attention)
