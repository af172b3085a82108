"""Applications: programs with API credentials."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime

from django.db import transaction

from console.core.roles import EVERY_SCOPE
from console.models import Application
from kernel.core.actor import Actor
from kernel.core.errors import Denied, FieldError, Invalid, NotFound
from kernel.core.ids import DomainId
from kernel.core.journal import Subject
from kernel.core.secrets import new_token
from kernel.services import record


class UnknownScope(Invalid):
    """A scope that does not exist."""

    code = "unknown-scope"


class TooMuchGranted(Denied):
    """Nobody gives away what they do not have."""

    code = "too-much-granted"


class UnknownApplication(NotFound):
    """There is no such application, or it was revoked."""

    code = "application-unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewApplication:
    """A fresh application. The secret is known here alone, and is shown once."""

    client_id: str
    client_secret: str = field(repr=False)


def create_application(
    *,
    name: str,
    scopes: Collection[str],
    domains: Collection[DomainId] | None,
    grantable: Collection[str] = EVERY_SCOPE,
    actor: Actor,
    now: datetime,
) -> NewApplication:
    """A new application and its secret. `domains` None: every domain, also future ones.

    `grantable` are the scopes that whoever makes it may give. Raises UnknownScope, TooMuchGranted.
    """
    if unknown := sorted(set(scopes) - EVERY_SCOPE):
        faults = tuple(FieldError(pointer="/scopes", code=UnknownScope.code, detail=f"{one!r}") for one in unknown)
        raise UnknownScope(f"There is no scope called {unknown[0][:64]!r}.", errors=faults)
    if wider := sorted(set(scopes) - set(grantable)):
        raise TooMuchGranted(f"You do not have the scope {wider[0]} yourself, so you can not give it away.")
    fresh = NewApplication(client_id=new_token(18), client_secret=new_token(32))
    application = Application(
        client_id=fresh.client_id,
        client_secret=fresh.client_secret,  # the toolkit's field hashes it before it is stored
        name=name,
        client_type=Application.CLIENT_CONFIDENTIAL,
        authorization_grant_type=Application.GRANT_CLIENT_CREDENTIALS,
        allowed_scopes=" ".join(sorted(scopes)),
        every_domain=domains is None,
        domain_ids=[str(domain) for domain in domains or ()],
    )
    with transaction.atomic():
        application.save(force_insert=True)
        record(
            action="console.application.created",
            subject=Subject(kind="console.application", id=fresh.client_id, label=name),
            actor=actor,
            now=now,
            domain=next(iter(domains)) if domains and len(domains) == 1 else None,
            after={"scopes": sorted(scopes), "every_domain": domains is None, "domains": application.domain_ids},
        )
    return fresh


def renew_secret(*, client_id: str, actor: Actor, now: datetime) -> NewApplication:
    """The application with a new secret; the old one is good for nothing from now on. Raises UnknownApplication."""
    fresh = NewApplication(client_id=client_id, client_secret=new_token(32))
    with transaction.atomic():
        application = Application.objects.select_for_update().filter(client_id=client_id, revoked_at=None).first()
        if application is None:
            raise UnknownApplication("There is no such application: list the applications to see those there are.")
        application.client_secret = fresh.client_secret
        application.save(update_fields=["client_secret"])
        record(
            action="console.application.secret_renewed",
            subject=Subject(kind="console.application", id=client_id, label=application.name),
            actor=actor,
            now=now,
        )
    return fresh
