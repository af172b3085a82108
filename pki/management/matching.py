"""`--filter NAME=VALUE` of commands, and the domain that it is about."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import CommandError

from kernel.core.ids import DomainId
from pki.core.revocation_order import RevocationFilter
from pki.queries import find_issuer, list_issuers

TEXTS = ("issuer", "profile", "holder", "subject", "serial")
TIMES = ("issued_from", "issued_before", "ends_from", "ends_before")


def parse_filter(words: Sequence[str]) -> RevocationFilter:
    """The filter that the words spell; times are ISO 8601, UTC if they do not say. Raises CommandError, Invalid."""
    found: dict[str, Any] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or name not in {*TEXTS, *TIMES}:
            raise CommandError(f"{word!r} is no NAME=VALUE with a name among {', '.join((*TEXTS, *TIMES))}.")
        found[name] = parse_time(value) if name in TIMES else value
    return RevocationFilter(**found)


def parse_time(text: str) -> datetime:
    """The time; UTC if it does not say. Raises CommandError."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise CommandError(f"{text!r} is no time: write it like 2027-01-31T12:00:00Z.") from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def domain_of(wanted: RevocationFilter) -> DomainId:
    """The domain of the issuer that is asked for; without one, the only domain that has issuers."""
    if wanted.issuer:
        return find_issuer(slug=wanted.issuer).domain
    domains = {issuer.domain for issuer in list_issuers()}
    if len(domains) != 1:
        raise CommandError("There are issuers in several domains, or in none: say which with --filter issuer=SLUG.")
    return domains.pop()
