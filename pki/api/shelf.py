"""The documents of each issuer in memory: read again when they changed, served on while the database is away."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from django.db import Error as DatabaseFault

from kernel.core.errors import NotFound
from pki import queries
from pki.api.stored_bytes import Document, etag_of
from pki.core.pem import encode_pem
from pki.core.values import Issuer, PublishedCrl

FRESH_FOR = timedelta(seconds=0.3)


@dataclass(frozen=True, slots=True)
class _Shelved:
    """A document, the number of the CRL that it is (0 for a certificate), and when that was looked at."""

    document: Document
    number: int
    read_at: datetime


@dataclass(slots=True)
class Shelf:
    """One process's documents; thread-safe."""

    _shelved: dict[tuple[str, str], _Shelved] = field(default_factory=dict)

    def find(self, slug: str, leaf: str, *, now: datetime) -> Document:
        """The document `leaf` of the issuer `slug`. Raises NotFound; a database error if nothing is known of it."""
        shelved = self._shelved.get((slug, leaf))
        if shelved and timedelta(0) <= now - shelved.read_at < FRESH_FOR:
            return shelved.document
        try:
            fresh = _read(slug, leaf, shelved, now=now)
        except DatabaseFault:
            if shelved is None or shelved.document.expires_at <= now:
                raise
            fresh = replace(shelved, read_at=now)
        self._shelved[slug, leaf] = fresh
        return fresh.document


def _read(slug: str, leaf: str, shelved: _Shelved | None, *, now: datetime) -> _Shelved:
    if leaf in _OF_CRL:
        return _read_crl(slug, leaf, shelved, now=now)
    if leaf not in _OF_ISSUER:
        raise NotFound("There is no such document.")
    if shelved is not None:  # an issuer's certificate never changes
        return replace(shelved, read_at=now)
    issuer = queries.find_issuer(slug=slug)
    content_type, body_of = _OF_ISSUER[leaf]
    body = body_of(issuer)
    document = Document(
        body=body,
        etag=etag_of(body),
        content_type=content_type,
        modified_at=issuer.not_before,
        expires_at=issuer.not_after,
    )
    return _Shelved(document, 0, now)


def _read_crl(slug: str, leaf: str, shelved: _Shelved | None, *, now: datetime) -> _Shelved:
    number = queries.newest_crl_number(slug=slug)
    if shelved is not None and number == shelved.number:
        return replace(shelved, read_at=now)
    crl = queries.latest_crl(issuer=queries.find_issuer(slug=slug).id)
    if crl is None:
        raise NotFound("The issuer has published no CRL yet.")
    content_type, body_of = _OF_CRL[leaf]
    body = body_of(crl)
    document = Document(
        body=body,
        etag=etag_of(body),
        content_type=content_type,
        modified_at=crl.this_update,
        expires_at=crl.next_update,
    )
    return _Shelved(document, crl.number, now)


_PEM = "application/x-pem-file"
_OF_CRL: dict[str, tuple[str, Callable[[PublishedCrl], bytes]]] = {
    "crl": ("application/pkix-crl", lambda crl: crl.der),
    "crl.pem": (_PEM, lambda crl: encode_pem("X509 CRL", crl.der).encode()),
}
_OF_ISSUER: dict[str, tuple[str, Callable[[Issuer], bytes]]] = {
    "cert": ("application/pkix-cert", lambda issuer: issuer.certificate_der),
    "cert.pem": (_PEM, lambda issuer: issuer.certificate_pem.encode()),
    "chain.pem": (_PEM, lambda issuer: issuer.chain_pem.encode()),
}
LEAVES = frozenset(_OF_CRL) | frozenset(_OF_ISSUER)
