"""Reading what operators bring of other CAs: certificates, private keys, PKCS#12 files and CRLs, in PEM or DER."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    load_der_private_key,
    load_pem_private_key,
    pkcs12,
)

from kernel.core.errors import Invalid
from pki.core.derivation_costs import iterations
from pki.core.keys import SigningKey

MAX_OCTETS = 262_144
MAX_CERTIFICATES = 20
MAX_ITERATIONS = 10_000_000
_BEGIN, _END = b"-----BEGIN CERTIFICATE-----", b"-----END CERTIFICATE-----"
_BEGIN_ENCRYPTED, _END_ENCRYPTED = b"-----BEGIN ENCRYPTED PRIVATE KEY-----", b"-----END ENCRYPTED PRIVATE KEY-----"


class UnreadableCertificate(Invalid):
    """The octets are no certificates."""

    code = "certificate-unreadable"


class UnreadableKey(Invalid):
    """The octets are no private key, or the passphrase does not open it."""

    code = "key-unreadable"


class ExpensiveKey(UnreadableKey):
    """Opening the file would take minutes, or more."""


class UnsupportedKey(Invalid):
    """A key of this sort signs nothing here."""

    code = "key-unsupported"


@dataclass(frozen=True, slots=True, kw_only=True)
class CaFile:
    """A CA's certificate, its private key, and the certificates that came with them."""

    certificate: x509.Certificate
    key: SigningKey = field(repr=False)
    others: tuple[x509.Certificate, ...] = ()


def read_certificates(octets: bytes) -> list[x509.Certificate]:
    """Every certificate of a PEM bundle in its order, or the one that the DER is; of nothing, none.

    Raises UnreadableCertificate, also of more than 256 KiB or 20 certificates, which no chain has.
    """
    if len(octets) > MAX_OCTETS:
        raise UnreadableCertificate(f"A chain has at most {MAX_OCTETS} octets: send the CAs of this one chain alone.")
    if not octets.strip():
        return []
    blocks = _pem_blocks(octets)
    try:
        found = [x509.load_pem_x509_certificate(block) for block in blocks] or [x509.load_der_x509_certificate(octets)]
        for certificate in found:
            certificate.public_key()
            certificate.extensions  # noqa: B018 - read here, where what can not be read is told
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion, x509.DuplicateExtension) as error:
        raise UnreadableCertificate("These are no X.509 certificates in PEM or DER that can be read.") from error
    return found


def read_certificate(octets: bytes) -> x509.Certificate:
    """The one certificate. Raises UnreadableCertificate."""
    found = read_certificates(octets)
    if len(found) != 1:
        raise UnreadableCertificate(f"There has to be one certificate here, and there are {len(found)}.")
    return found[0]


def read_key(octets: bytes, passphrase: str = "") -> SigningKey:
    """The private key of PKCS#8 (or PKCS#1, SEC 1) in PEM or DER, encrypted or not.

    Raises UnreadableKey, UnsupportedKey.
    """
    _check_size(octets)
    octets = _without_pem(octets) if _BEGIN_ENCRYPTED in octets else octets
    load = load_pem_private_key if b"-----BEGIN" in octets else load_der_private_key
    _check_iterations(iterations(octets), "openssl pkcs8 -topk8 -iter 600000")
    try:
        key = load(octets, password=passphrase.encode() or None)
    except TypeError as error:  # encrypted and no passphrase, or the other way about
        raise UnreadableKey(_passphrase_advice(passphrase)) from error
    except UnsupportedAlgorithm as error:
        raise UnsupportedKey("The private key is of a sort, or encrypted in a way, that is not supported.") from error
    except ValueError as error:
        raise UnreadableKey("The private key can not be read: is it PKCS#8, and the passphrase right?") from error
    return _signing(key)


def read_pkcs12(octets: bytes, passphrase: str = "") -> CaFile:
    """What a PKCS#12 file holds. Raises UnreadableKey, UnsupportedKey."""
    _check_size(octets)
    _check_iterations(iterations(octets, within_octets=True), "openssl pkcs12 -export -iter 600000")
    try:
        key, certificate, others = pkcs12.load_key_and_certificates(octets, passphrase.encode() or None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise UnreadableKey("The PKCS#12 file can not be read: is the passphrase right?") from error
    if key is None or certificate is None:
        raise UnreadableKey("The PKCS#12 file has to hold a private key and its certificate.")
    return CaFile(certificate=certificate, key=_signing(key), others=tuple(others))


def read_crls(octets: bytes) -> list[x509.CertificateRevocationList]:
    """Every CRL of a PEM bundle, or the one that the DER is; of nothing, none. Raises UnreadableCrl."""
    if not octets.strip():
        return []
    mark = b"-----END X509 CRL-----"
    try:
        if b"-----BEGIN" not in octets:
            return [x509.load_der_x509_crl(octets)]
        found = [x509.load_pem_x509_crl(block + mark) for block in octets.split(mark)[:-1]]
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise UnreadableCrl("This is no CRL in PEM or DER.") from error
    if not found:
        raise UnreadableCrl("There is no CRL between the lines of this PEM.")
    return found


class UnreadableCrl(Invalid):
    """The octets are no CRL."""

    code = "crl-unreadable"


def der_of(certificate: x509.Certificate) -> bytes:
    """The DER of the certificate."""
    return certificate.public_bytes(Encoding.DER)


def _pem_blocks(octets: bytes) -> list[bytes]:
    """Each certificate between its lines, found in one pass. Raises UnreadableCertificate of too many."""
    blocks: list[bytes] = []
    place = 0
    while (end := octets.find(_END, place)) >= 0:
        begin, place = octets.find(_BEGIN, place, end), end + len(_END)
        if begin < 0:
            continue
        if len(blocks) == MAX_CERTIFICATES:
            raise UnreadableCertificate(
                f"A chain has at most {MAX_CERTIFICATES} certificates: send this one chain alone."
            )
        blocks.append(octets[begin:place])
    return blocks


def _without_pem(octets: bytes) -> bytes:
    """The DER of the encrypted PKCS#8, so that what is checked is what is opened. Raises UnreadableKey."""
    body, end, _ = octets.partition(_BEGIN_ENCRYPTED)[2].partition(_END_ENCRYPTED)
    try:
        found = base64.b64decode(b"".join(body.split()), validate=True)
    except ValueError as error:
        raise UnreadableKey("The encrypted private key is no PEM: there is more than base64 in it.") from error
    if not end:
        raise UnreadableKey("The encrypted private key is cut off: its last line is missing.")
    return found


def _check_iterations(asked: int, command: str) -> None:
    if asked > MAX_ITERATIONS:
        raise ExpensiveKey(
            f"The file asks for more than {MAX_ITERATIONS} iterations to be opened: re-encrypt it with `{command}`."
        )


def _signing(key: object) -> SigningKey:
    if not isinstance(key, SigningKey):
        raise UnsupportedKey("A private key of this sort signs no certificates here: use ECDSA, RSA or Ed25519.")
    return key


def _check_size(octets: bytes) -> None:
    if len(octets) > MAX_OCTETS:
        raise UnreadableKey(f"A key file has at most {MAX_OCTETS} octets.")


def _passphrase_advice(passphrase: str) -> str:
    if passphrase:
        return "The private key is not encrypted, and a passphrase was given: leave it out."
    return "The private key is encrypted: give its passphrase."
