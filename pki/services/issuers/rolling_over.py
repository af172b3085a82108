"""Rollover: a new issuer with a new key beside the old one, which goes on for what it signed until that has ended."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from cryptography import x509

from kernel.core.actor import Actor
from kernel.core.errors import Conflict
from kernel.core.ids import DomainId
from pki.core.issuer_values import SigningRequest
from pki.core.paths import path_length_of
from pki.core.values import Custody, IssuerId, IssuerKind, IssuerState, KeyAlgorithm
from pki.core.values import Issuer as IssuerValue
from pki.models import CrossCertificate, Issuer
from pki.queries import UnknownIssuer, custody_of, find_issuer
from pki.queries.issuers import ISSUERS, is_gone
from pki.services.issuers.creating import create_issuing_ca, create_root
from pki.services.issuers.cross_signing import cross_sign
from pki.services.issuers.ordering import order_issuing_ca
from pki.services.issuers.storing import NotActive, check_replaces
from pki.services.signers import signer_for

_SLUG_GENERATION = re.compile(r"-g(\d+)$")
_NAME_GENERATION = re.compile(r" G(\d+)$")


class NotRolledHere(Conflict):
    """The issuer's successor has to be certified elsewhere."""

    code = "issuer-rolled-elsewhere"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollover:
    """The new issuer, or what the offline CA above has to sign before there is one."""

    successor: IssuerValue | None
    ordered: SigningRequest | None


def roll_over_issuer(
    *,
    issuer: IssuerId,
    slug: str = "",
    common_name: str = "",
    key_algorithm: KeyAlgorithm | None = None,
    custody: Custody | None = None,
    validity: timedelta | None = None,
    actor: Actor,
    now: datetime,
) -> Rollover:
    """A successor below the same CA, with a new key and, unless they are given, the next generation of slug and name.

    Whoever names the old issuer gets certificates of the new one from then on. Both are trusted, and both have CRLs
    and OCSP, until nothing that the old one signed is valid; `retire_ended_issuers` sees to that. A root and its
    successor certify each other (RFC 9810 4.4). Repeated after a crash it goes on where it ended. Not to be called in
    a transaction. Raises UnknownIssuer, NotActive, NotRolledHere, SlugTaken and what `create_issuing_ca` does.
    """
    row = ISSUERS.filter(id=issuer).first()
    if row is None:
        raise UnknownIssuer("There is no such issuer: list the issuers to see those there are.")
    if half_done := _half_done_root(row):
        return _linked(row, half_done, actor=actor, now=now)
    _check(row)
    wanted: dict[str, Any] = {
        "slug": slug or next_slug(row.slug),
        "common_name": common_name or next_name(row.name),
        "key_algorithm": key_algorithm or KeyAlgorithm(row.key_algorithm),
        "custody": custody or custody_of(issuer=issuer) or Custody.ENCRYPTED,
        "crl_shards": row.crl_shards,
        "validity": validity,
        "replaces": issuer,
        "actor": actor,
        "now": now,
    }
    return _succeed(row, wanted, actor=actor, now=now)


def next_slug(slug: str) -> str:
    """`north-ca` becomes `north-ca-g2`, and that `north-ca-g3`."""
    found = _SLUG_GENERATION.search(slug)
    stem = slug[: found.start()] if found else slug
    return f"{stem[:45].rstrip('-')}-g{int(found[1]) + 1 if found else 2}"


def next_name(name: str) -> str:
    """`North CA` becomes `North CA G2`, and that `North CA G3`."""
    found = _NAME_GENERATION.search(name)
    stem = name[: found.start()] if found else name
    return f"{stem[:58].rstrip()} G{int(found[1]) + 1 if found else 2}"


def _check(row: Issuer) -> None:
    if row.state != IssuerState.ACTIVE or is_gone(row):
        raise NotActive(f"The issuer {row.slug} is {row.state}: roll over one that is active.")
    check_replaces(row.id, domain=DomainId(row.domain_id))
    if row.kind != IssuerKind.ONLINE:
        raise NotRolledHere(f"The key of {row.slug} is elsewhere: make the new one there, and import it in its place.")
    if row.parent is not None and row.parent.kind == IssuerKind.TRUSTED:
        raise NotRolledHere(
            f"A CA elsewhere certifies {row.slug}: request a new issuer that replaces it, and have that signed there."
        )


def _succeed(row: Issuer, wanted: Mapping[str, Any], *, actor: Actor, now: datetime) -> Rollover:
    if row.parent is None:
        root = create_root(domain=DomainId(row.domain_id), **wanted)
        return _linked(row, root, actor=actor, now=now)
    wanted = {**wanted, "parent": IssuerId(row.parent.id), "path_length": _path_length(row)}
    if signer_for(wanted["parent"]).kind == IssuerKind.OFFLINE:
        return Rollover(successor=None, ordered=order_issuing_ca(**wanted))
    return Rollover(successor=create_issuing_ca(**wanted), ordered=None)


def _path_length(row: Issuer) -> int:
    return path_length_of(x509.load_der_x509_certificate(bytes(row.der))) or 0


def _half_done_root(row: Issuer) -> IssuerValue | None:
    """The successor of a root whose link certificates are not all there yet."""
    if row.parent_id or row.state != IssuerState.SUPERSEDED or row.kind != IssuerKind.ONLINE or not row.successor_id:
        return None
    links = CrossCertificate.objects.filter(
        issuer_id__in=[row.id, row.successor_id], signer_id__in=[row.id, row.successor_id]
    )
    return None if links.count() == 2 else find_issuer(id=IssuerId(row.successor_id))


def _linked(old: Issuer, new: IssuerValue, *, actor: Actor, now: datetime) -> Rollover:
    """Both roots' certificates for each other: new-with-old, and old-with-new."""
    for subject, signer in ((new.id, IssuerId(old.id)), (IssuerId(old.id), new.id)):
        if not CrossCertificate.objects.filter(issuer_id=subject, signer_id=signer).exists():
            cross_sign(issuer=subject, signer=signer, actor=actor, now=now)
    return Rollover(successor=find_issuer(id=new.id), ordered=None)
