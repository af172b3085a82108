"""Looking private keys over: where each is kept, what it is for, what it hangs on, and whether it signs."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass

from cryptography import x509

from kernel.core.errors import DomainError, Unavailable
from kernel.core.secrets import id_of_key
from kernel.queries import unknown_master_keys
from pki.core.keys import SigningKey, sign
from pki.core.paths import is_same_key
from pki.core.signatures import is_signed_by
from pki.core.values import Custody, KeyAlgorithm, KeyId
from pki.models import Issuer, IssuerRequest, Key, OcspSigner
from pki.services.kept_keys import kept_of, place_of


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFacts:
    """A private key. `purpose` says whose it is; `master_key` is the id (hex) of what it hangs on, or empty.

    `fault` is a sentence on what hinders it from signing, or empty.
    """

    id: KeyId
    algorithm: KeyAlgorithm
    custody: Custody
    purpose: str
    locator: str
    master_key: str
    fault: str


def list_keys() -> list[KeyFacts]:
    """Every private key, oldest first; nothing is opened."""
    purposes = _purposes()
    return [_facts(row, purposes) for row in Key.objects.order_by("id")]


def check_keys() -> Iterator[KeyFacts]:
    """Every private key in turn, opened anew and tried: it has to sign as its certificate says."""
    purposes, certificates = _purposes(), _certificates()
    for row in Key.objects.order_by("id"):
        facts = _facts(row, purposes)
        yield facts if facts.fault else _facts(row, purposes, fault=_try(row, certificates.get(row.id)))


def list_strays() -> list[str]:
    """Where keys are that no row knows: what an attempt that was broken off left in a token or among the files.

    A token that is away is passed over.
    """
    known, found = set(Key.objects.values_list("id", flat=True)), []
    for custody in Custody:
        with contextlib.suppress(Unavailable):
            found += [place for id, place in place_of(custody).held().items() if id not in known]
    return found


def unknown_keys() -> set[str]:
    """The ids (hex) of master keys that private keys hang on, and that are not known here."""
    return unknown_master_keys(rows=Key.objects.all(), column="wrapped")


def _facts(row: Key, purposes: dict[object, str], *, fault: str = "") -> KeyFacts:
    kept = kept_of(row)
    envelope: bytes | None = None
    try:
        envelope = place_of(kept.custody).envelope(kept)
    except DomainError as error:
        fault = error.detail
    return KeyFacts(
        id=kept.id,
        algorithm=kept.algorithm,
        custody=kept.custody,
        purpose=purposes.get(row.id, "nothing"),
        locator=kept.locator,
        master_key="" if envelope is None else id_of_key(envelope),
        fault=fault,
    )


def _try(row: Key, certificate: x509.Certificate | None) -> str:
    kept = kept_of(row)
    try:
        key = place_of(kept.custody).open(kept)
        return _fault_of(key, certificate)
    except DomainError as error:
        return error.detail


def _fault_of(key: SigningKey, certificate: x509.Certificate | None) -> str:
    octets = os.urandom(32)
    if not is_signed_by(key.public_key(), signature=sign(key, octets), octets=octets):
        return "It signs wrongly: what keeps it is broken."
    if certificate is not None and not is_same_key(certificate.public_key(), key.public_key()):
        return "It is not the key of its certificate: another was put in its place."
    return ""


def _purposes() -> dict[object, str]:
    """By key id."""
    issuers = Issuer.objects.exclude(key=None).values_list("key_id", "slug")
    requests = IssuerRequest.objects.values_list("key_id", "slug")
    signers = OcspSigner.objects.values_list("key_id", "issuer__slug")
    return {
        **{key: f"issuer {slug}" for key, slug in issuers},
        **{key: f"request of issuer {slug}" for key, slug in requests},
        **{key: f"OCSP signer of {slug}" for key, slug in signers},
    }


def _certificates() -> dict[object, x509.Certificate]:
    """By key id, as far as there is one."""
    issuers = Issuer.objects.exclude(key=None).values_list("key_id", "der")
    signers = OcspSigner.objects.exclude(certificate__der=None).values_list("key_id", "certificate__der")
    return {key: x509.load_der_x509_certificate(bytes(der)) for key, der in [*issuers, *signers] if der}
