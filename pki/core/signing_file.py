"""The file that goes to an offline key and comes back signed: JSON that people can read, and what is signed in base64.

Whoever signs trusts nothing that the file says beside the octets to be signed: their description is made from them.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding

from kernel.core.errors import Invalid
from pki.core import der
from pki.core.issuer_values import SigningKind
from pki.core.keys import SigningKey, algorithm_identifier, wrap_signed
from pki.core.paths import is_same_key, is_signed_by
from pki.core.signing_words import certificate_lines, crl_lines

FORMAT = "gatehouse-signing-requests-1"
SIGNED_FORMAT = "gatehouse-signatures-1"


class MalformedSigningFile(Invalid):
    """The file is not what was exported, or what was signed."""

    code = "signing-file-malformed"


class NotForThisKey(Invalid):
    """The key is not the issuer's, or the file asks for what the issuer must not sign."""

    code = "signing-file-key"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One thing to sign."""

    id: UUID
    kind: SigningKind
    purpose: str
    to_be_signed: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningFile:
    """What one issuer has to sign."""

    issuer: x509.Certificate
    slug: str
    orders: tuple[Order, ...]


def write_orders(file: SigningFile) -> bytes:
    """The file to take to the key."""
    document = {
        "format": FORMAT,
        "issuer": file.slug,
        "certificate": file.issuer.public_bytes(Encoding.PEM).decode(),
        "requests": [
            {
                "id": str(order.id),
                "kind": order.kind.value,
                "purpose": order.purpose,
                "summary": [*describe(order)],
                "to_be_signed": base64.b64encode(order.to_be_signed).decode(),
            }
            for order in file.orders
        ],
    }
    return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()


def read_orders(octets: bytes) -> SigningFile:
    """The file as it was written. Raises MalformedSigningFile."""
    document = _load(octets, FORMAT)
    try:
        return SigningFile(
            issuer=x509.load_pem_x509_certificate(document["certificate"].encode()),
            slug=str(document["issuer"]),
            orders=tuple(
                Order(
                    id=UUID(each["id"]),
                    kind=SigningKind(each["kind"]),
                    purpose=str(each["purpose"]),
                    to_be_signed=base64.b64decode(each["to_be_signed"], validate=True),
                )
                for each in document["requests"]
            ),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise MalformedSigningFile("The file of signing requests is not whole: export it again.") from error


def sign_orders(file: SigningFile, key: SigningKey) -> bytes:
    """The file to bring back: each order with its signature. Raises NotForThisKey, MalformedSigningFile."""
    if not is_same_key(key.public_key(), file.issuer.public_key()):
        raise NotForThisKey(f"This is not the key of {file.issuer.subject.rfc4514_string()}: nothing was signed.")
    signed = []
    for order in file.orders:
        check_order(order, issuer=file.issuer, key=key)
        octets = wrap_signed(key, order.to_be_signed)
        check_signed(order, octets, issuer=file.issuer)
        signed.append({"id": str(order.id), "kind": order.kind.value, "signed": base64.b64encode(octets).decode()})
    document = {"format": SIGNED_FORMAT, "issuer": file.slug, "signatures": signed}
    return (json.dumps(document, indent=2) + "\n").encode()


def read_signatures(octets: bytes) -> dict[UUID, bytes]:
    """What came back: the signed DER by the order's id. Raises MalformedSigningFile."""
    document = _load(octets, SIGNED_FORMAT)
    try:
        return {UUID(each["id"]): base64.b64decode(each["signed"], validate=True) for each in document["signatures"]}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise MalformedSigningFile("The file of signatures is not whole: sign the requests again.") from error


def check_order(order: Order, *, issuer: x509.Certificate, key: SigningKey) -> None:
    """That the octets are of this issuer and for this key. Raises NotForThisKey, MalformedSigningFile."""
    shown = _unsigned(order)
    if _algorithm(order) != algorithm_identifier(key):
        raise NotForThisKey(f"{order.purpose} is to be signed in a way that this key does not sign.")
    if shown.issuer.public_bytes() != issuer.subject.public_bytes():
        raise NotForThisKey(f"{order.purpose} names another issuer: nothing was signed.")
    if isinstance(shown, x509.Certificate) and shown.not_valid_after_utc > issuer.not_valid_after_utc:
        raise NotForThisKey(f"{order.purpose} would outlive its issuer: nothing was signed.")


def check_signed(order: Order, octets: bytes, *, issuer: x509.Certificate) -> None:
    """That `octets` are the order, to the octet, signed by the issuer. Raises MalformedSigningFile."""
    try:
        if order.kind is SigningKind.CERTIFICATE:
            certificate = x509.load_der_x509_certificate(octets)
            same, genuine = certificate.tbs_certificate_bytes == order.to_be_signed, is_signed_by(certificate, issuer)
        else:
            crl = x509.load_der_x509_crl(octets)
            same = crl.tbs_certlist_bytes == order.to_be_signed
            genuine = crl.is_signature_valid(issuer.public_key())  # type: ignore[arg-type]
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm) as error:
        raise MalformedSigningFile(f"What was signed as {order.purpose} can not be read.") from error
    if not same:
        raise MalformedSigningFile(f"Something else was signed than {order.purpose}: export it, and sign it again.")
    if not genuine:
        raise MalformedSigningFile(f"The signature of {order.purpose} is not by the issuer's key.")


def describe(order: Order) -> Iterator[str]:
    """What the octets say, a line each. Raises MalformedSigningFile."""
    shown = _unsigned(order)
    yield f"SHA-256 of what is signed: {hashlib.sha256(order.to_be_signed).hexdigest()}"
    yield from certificate_lines(shown) if isinstance(shown, x509.Certificate) else crl_lines(shown)


def _unsigned(order: Order) -> x509.Certificate | x509.CertificateRevocationList:
    """The octets with an empty signature, so that they can be read."""
    try:
        whole = der.sequence(order.to_be_signed, _algorithm(order), der.bit_string(b""))
        if order.kind is SigningKind.CERTIFICATE:
            shown: x509.Certificate | x509.CertificateRevocationList = x509.load_der_x509_certificate(whole)
        else:
            shown = x509.load_der_x509_crl(whole)
        shown.extensions  # noqa: B018 - read here, where what can not be read is told
    except (ValueError, TypeError, x509.InvalidVersion, x509.DuplicateExtension) as error:
        raise MalformedSigningFile(f"What is to be signed as {order.purpose[:80]!r} can not be read.") from error
    return shown


def _algorithm(order: Order) -> bytes:
    """The AlgorithmIdentifier that the octets to be signed name."""
    parts: Sequence[der.Element] = [*der.read_only(order.to_be_signed).children()]
    place = 2 if order.kind is SigningKind.CERTIFICATE else 1
    if len(parts) <= place:
        raise MalformedSigningFile("What is to be signed is too short.")
    return parts[place].encoded


def _load(octets: bytes, expected: str) -> dict[str, Any]:
    try:
        document = json.loads(octets)
    except ValueError as error:
        raise MalformedSigningFile("This is no file of signing requests or signatures: it is not JSON.") from error
    if not isinstance(document, dict) or document.get("format") != expected:
        raise MalformedSigningFile(f"This file is not of the format {expected}.")
    return document
