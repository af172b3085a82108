"""What every new issuer goes through: its slug, its key's one owner, its row, its entry in the journal."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from cryptography import x509
from cryptography.x509.oid import NameOID
from django.db import IntegrityError, transaction

from kernel.core.actor import Actor
from kernel.core.errors import Conflict, Invalid
from kernel.core.ids import DomainId, new_id
from kernel.core.journal import Subject
from kernel.services import record
from pki.core.ca_files import der_of
from pki.core.csr import spki_sha256
from pki.core.key_kinds import kind_of
from pki.core.values import IssuerKind, IssuerState, KeyId, serial_hex
from pki.models import Issuer, IssuerRequest, PublicKeyHolder
from pki.services.issue_certificate import KeyInUse

MAX_SHARDS = 1024
_SLUG = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_SLUG_CHARACTERS = 50
_RESERVED = frozenset({"import", "offline", "requests", "trust"})  # they stand in the paths of the API


class BadSlug(Invalid):
    """The slug can not stand in URLs."""

    code = "issuer-slug"


class SlugTaken(Conflict):
    """Another issuer has that slug."""

    code = "issuer-slug-taken"


class BadShards(Invalid):
    """The number of shards is out of bounds."""

    code = "issuer-shards"


class NotActive(Conflict):
    """The issuer was rolled over, retired or revoked already, or its successor is on its way."""

    code = "issuer-not-active"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewIssuer:
    """An issuer before it has a row. `replaces` is the one that it succeeds in a rollover."""

    domain: DomainId
    slug: str
    certificate: x509.Certificate
    parent: Issuer | None
    kind: IssuerKind = IssuerKind.ONLINE
    key: KeyId | None = None
    crl_shards: int = 0
    replaces: UUID | None = None


def check_slug(slug: str) -> None:
    """Raises BadSlug, SlugTaken."""
    if len(slug) > _SLUG_CHARACTERS or not _SLUG.fullmatch(slug):
        raise BadSlug(f"{slug[:80]!r} can not name an issuer: 1 to {_SLUG_CHARACTERS} of a-z, 0-9 and single hyphens.")
    if slug in _RESERVED:
        raise BadSlug(f"{slug!r} stands in the API's own paths: choose another slug.")
    if Issuer.objects.filter(slug=slug).exists() or IssuerRequest.objects.filter(slug=slug).exists():
        raise _taken(slug)


def check_shards(crl_shards: int) -> None:
    """Raises BadShards."""
    if not 0 <= crl_shards <= MAX_SHARDS:
        raise BadShards(f"An issuer has 0 to {MAX_SHARDS} CRL shards; 0 means one CRL for all.")


def check_replaces(replaces: UUID | None, *, domain: DomainId) -> None:
    """Raises NotActive unless the issuer to be succeeded is of the domain and active, and nobody succeeds it yet."""
    if replaces is None:
        return
    row = Issuer.objects.filter(id=replaces, domain_id=domain).exclude(kind=IssuerKind.TRUSTED).first()
    if row is None or row.state != IssuerState.ACTIVE:
        raise NotActive("What is to be replaced is no active issuer of yours: name one that is.")
    if IssuerRequest.objects.filter(replaces=row).exists():
        raise NotActive(f"The successor of {row.slug} is on its way: its request waits for a signature.")


@contextmanager
def one_slug(slug: str) -> Iterator[None]:
    """A transaction in which a row with that slug is made. Raises SlugTaken if another had it first."""
    try:
        with transaction.atomic():
            yield
    except IntegrityError as error:
        raise _taken(slug) from error


def store_issuer(new: NewIssuer, *, actor: Actor, now: datetime, action: str = "pki.issuer.created") -> Issuer:
    """The row, in the caller's transaction; the issuer that it replaces is superseded. Raises KeyInUse, Conflict."""
    certificate = new.certificate
    if new.kind is not IssuerKind.TRUSTED:
        own_key(spki_sha256(certificate.public_key()), slug=new.slug)
    row = Issuer.objects.create(
        id=new_id(),
        domain_id=new.domain,
        slug=new.slug,
        name=name_of(certificate.subject),
        parent=new.parent,
        kind=new.kind,
        key_id=new.key,
        key_algorithm=kind_of(certificate.public_key()),
        crl_shards=new.crl_shards,
        der=der_of(certificate),
        serial=serial_hex(certificate.serial_number),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
    )
    facts = {
        "slug": row.slug,
        "name": row.name,
        "kind": new.kind.value,
        "parent": new.parent.slug if new.parent else None,
        "serial": row.serial,
    }
    record_about(row, action, actor=actor, now=now, after=facts)
    if new.replaces:
        _supersede(new.replaces, row, actor=actor, now=now)
    return row


def own_key(public_key_sha256: str, *, slug: str) -> None:
    """Binds the key to the issuer for ever, so that no other issuer and no device has it. Raises KeyInUse."""
    holder = f"issuer:{slug}"
    rows = PublicKeyHolder.objects
    bound, _ = rows.get_or_create(public_key_sha256=public_key_sha256, defaults={"holder": holder})
    if bound.holder != holder:
        raise KeyInUse("This key belongs to another issuer, device or service already: an issuer has a key of its own.")


def is_key_free(public_key_sha256: str, *, slug: str) -> bool:
    """Whether the issuer may have the key."""
    bound = PublicKeyHolder.objects.filter(public_key_sha256=public_key_sha256).first()
    return bound is None or bound.holder == f"issuer:{slug}"


def record_about(
    row: Issuer, action: str, *, actor: Actor, now: datetime, after: dict[str, str | None], note: str = ""
) -> None:
    """Writes down what was done with the issuer, in the caller's transaction."""
    record(
        action=action,
        subject=Subject(kind="pki.issuer", id=str(row.id), label=row.slug),
        actor=actor,
        now=now,
        domain=DomainId(row.domain_id),
        after=after,
        note=note,
    )


def name_of(name: x509.Name) -> str:
    """What people call a CA: its common name, or all of its name; at most 64 characters."""
    found = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return (str(found[0].value) if found else name.rfc4514_string())[:64]


def _supersede(old: UUID, successor: Issuer, *, actor: Actor, now: datetime) -> None:
    changed = Issuer.objects.filter(id=old, state=IssuerState.ACTIVE, successor=None).update(
        state=IssuerState.SUPERSEDED, successor=successor
    )
    row = Issuer.objects.get(id=old)
    if not changed:
        raise NotActive(f"{row.slug} is not active any more: roll its successor over.")
    record_about(
        row, "pki.issuer.superseded", actor=actor, now=now, after={"slug": row.slug, "successor": successor.slug}
    )


def _taken(slug: str) -> SlugTaken:
    return SlugTaken(f"There is an issuer, or the request of one, called {slug!r} already: choose another slug.")
