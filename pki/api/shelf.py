"""The documents of each issuer in memory: read again when they changed, served on while the database is away.

A CRL is in memory once, as DER; its PEM, and the PEM of several, is made of that while it is sent.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from threading import Lock

from django.db import Error as DatabaseFault

from kernel.core.errors import NotFound
from kernel.core.lane import lane
from pki import queries
from pki.api.stored_bytes import Document, Joined, Octets, etag_of
from pki.core.pem import PemText
from pki.core.values import CrlKind, Issuer

FRESH_FOR = timedelta(seconds=0.3)
YOUNG_FOR = timedelta(seconds=0.6)  # what is older is served without a look only if looking takes too long
LONGEST_WAIT_SECONDS = 2.0
BUNDLE = "crls.pem"
_ISSUERS_ABOVE = "issuers-above"  # no document: whose CRLs are in the bundle
_PEM_TYPE, _PEM = "application/x-pem-file", ".pem"
_SHARD = re.compile(r"crl/(0|[1-9][0-9]{0,4})")
_CROSS = "cross.pem"
_OF_ISSUER = {"cert": "application/pkix-cert", "cert.pem": _PEM_TYPE, "chain.pem": _PEM_TYPE, _CROSS: _PEM_TYPE}


@dataclass(frozen=True, slots=True)
class _Shelved:
    """A document, the number of the CRL that it is (0 for others), and when that was looked at."""

    document: Document
    number: int
    read_at: datetime


def is_leaf(leaf: str) -> bool:
    """Whether an issuer may have a document of that name."""
    return leaf in _OF_ISSUER or leaf == BUNDLE or _crl_of(leaf.removesuffix(_PEM)) is not None


@dataclass(slots=True)
class Shelf:
    """One process's documents; thread-safe."""

    _shelved: dict[tuple[str, str], _Shelved] = field(default_factory=dict)
    _reading: dict[tuple[str, str], Lock] = field(default_factory=dict)  # of what is shelved: asking for what there
    _reading_anew: Lock = field(default_factory=Lock)  # is not, which anybody may, keeps nobody from what there is

    def find(self, slug: str, leaf: str, *, now: datetime) -> Document:
        """The document `leaf` of the issuer `slug`. Raises NotFound; a database error if nothing is known of it."""
        if leaf in _OF_ISSUER:
            return self._look(slug, leaf, now=now)
        if leaf == BUNDLE:
            return self._bundle(slug, now=now)
        document = self._look(slug, leaf.removesuffix(_PEM), now=now)
        return _as_pem(document) if leaf.endswith(_PEM) else document

    def _bundle(self, slug: str, *, now: datetime) -> Document:
        """The CRLs of the issuer and of those above it: what OpenSSL asks for with -crl_check_all."""
        above = self._look(slug, _ISSUERS_ABOVE, now=now).body
        slugs = above.read(0, len(above)).decode().split()
        documents = [_as_pem(self._look(each, "crl", now=now)) for each in slugs]
        if not documents:
            raise NotFound("The issuer has published no CRL yet.")
        return Document(
            body=Joined(tuple(document.body for document in documents)),
            etag=etag_of("".join(document.etag for document in documents).encode()),
            content_type=_PEM_TYPE,
            modified_at=max(document.modified_at for document in documents),
            expires_at=min(document.expires_at for document in documents),
        )

    def _look(self, slug: str, leaf: str, *, now: datetime) -> Document:
        shelved = self._shelved.get((slug, leaf))
        age = now - shelved.read_at if shelved else YOUNG_FOR
        if shelved and timedelta(0) <= age < FRESH_FOR:
            return shelved.document
        # One thread reads: several copies of a CRL at once would be several times its size.
        reading = self._reading.get((slug, leaf), self._reading_anew)
        lane.leave()
        if not reading.acquire(timeout=_patience(shelved, age, now=now)):
            return shelved.document  # type: ignore[union-attr]  # it waits as long as it takes where nothing is there
        try:
            latest = self._shelved.get((slug, leaf))
            if latest is None or latest is shelved:
                latest = self._refresh(slug, leaf, shelved, now=now)
        finally:
            reading.release()
        return latest.document

    def _refresh(self, slug: str, leaf: str, shelved: _Shelved | None, *, now: datetime) -> _Shelved:
        try:
            fresh = _read(slug, leaf, shelved, now=now)
        except DatabaseFault:
            if shelved is None or shelved.document.expires_at <= now:
                raise
            fresh = replace(shelved, read_at=now)
        self._reading.setdefault((slug, leaf), Lock())
        self._shelved[slug, leaf] = fresh
        return fresh


def _patience(shelved: _Shelved | None, age: timedelta, *, now: datetime) -> float:
    """For how many seconds to wait while another thread reads; -1 is for ever, 0 not at all."""
    if shelved is None or shelved.document.expires_at <= now:
        return -1
    return 0 if timedelta(0) <= age < YOUNG_FOR else LONGEST_WAIT_SECONDS


def _read(slug: str, leaf: str, shelved: _Shelved | None, *, now: datetime) -> _Shelved:
    if (asked := _crl_of(leaf)) is not None:
        return _read_crl(slug, *asked, shelved, now=now)
    if shelved is not None and leaf in _OF_ISSUER and leaf != _CROSS:  # an issuer's certificate never changes
        return replace(shelved, read_at=now)
    issuer = queries.find_issuer(slug=slug)
    if leaf == _CROSS:
        return _read_cross(issuer, shelved, now=now)
    body = _issuer_body(issuer, leaf)
    document = Document(
        body=Octets(body),
        etag=etag_of(body),
        content_type=_OF_ISSUER.get(leaf, _PEM_TYPE),
        modified_at=issuer.not_before,
        expires_at=issuer.not_after,
    )
    return _Shelved(document, 0, now)


def _read_cross(issuer: Issuer, shelved: _Shelved | None, *, now: datetime) -> _Shelved:
    """The issuer's cross-certificates, which come and go. Raises NotFound if there is none."""
    body = queries.cross_pem(issuer=issuer.id, now=now).encode()
    if not body:
        raise NotFound("The issuer has no cross-certificate.")
    if shelved is not None and shelved.document.etag == etag_of(body):
        return replace(shelved, read_at=now)
    document = Document(
        body=Octets(body), etag=etag_of(body), content_type=_PEM_TYPE, modified_at=now, expires_at=issuer.not_after
    )
    return _Shelved(document, 0, now)


def _issuer_body(issuer: Issuer, leaf: str) -> bytes:
    match leaf:
        case "cert":
            return issuer.certificate_der
        case "cert.pem":
            return issuer.certificate_pem.encode()
        case "chain.pem":
            return issuer.chain_pem.encode()
    return " ".join(queries.issuers_with_crls(slug=issuer.slug)).encode()


def _read_crl(slug: str, kind: CrlKind, shard: int | None, shelved: _Shelved | None, *, now: datetime) -> _Shelved:
    number = queries.newest_crl_number(slug=slug, kind=kind, shard=shard)
    if shelved is not None and number == shelved.number:
        return replace(shelved, read_at=now)
    crl = queries.latest_crl(issuer=queries.find_issuer(slug=slug).id, kind=kind, shard=shard)
    if crl is None:
        raise NotFound("The issuer has published no such CRL yet.")
    document = Document(
        body=Octets(crl.der),
        etag=etag_of(crl.der),
        content_type="application/pkix-crl",
        modified_at=crl.this_update,
        expires_at=crl.next_update,
    )
    return _Shelved(document, crl.number, now)


def _crl_of(leaf: str) -> tuple[CrlKind, int | None] | None:
    """Which CRL a name without .pem stands for."""
    if match := _SHARD.fullmatch(leaf):
        return CrlKind.SHARD, int(match[1])
    kind = {"crl": CrlKind.FULL, "delta.crl": CrlKind.DELTA}.get(leaf)
    return (kind, None) if kind else None


def _as_pem(document: Document) -> Document:
    """The same CRL as text; its entity tag is another, since its octets are."""
    assert isinstance(document.body, Octets)
    etag = f'"{hashlib.sha256(document.etag.encode()).hexdigest()}"'
    body = PemText(queries.CRL_LABEL, document.body.octets)
    return replace(document, body=body, etag=etag, content_type=_PEM_TYPE)
